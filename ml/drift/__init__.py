"""Whether the market has moved away from what the models learnt: one statement over all collections and features."""
