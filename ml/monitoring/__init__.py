"""How wrong the estimates are now, and how many models err how much."""
