"""The tuning study under a budget: asset, job and lock."""
