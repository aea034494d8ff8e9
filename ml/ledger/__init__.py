"""The ledger: every sale with the estimate that was made before it."""
