"""The ledger: every sale beside the estimate that was made before it."""
