"""From logs to trades and transfers: pure functions, one file for each marketplace."""
