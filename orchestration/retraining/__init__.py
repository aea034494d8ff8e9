"""Acting within limits: which runs are requested when models got worse, and what people are told of it."""
