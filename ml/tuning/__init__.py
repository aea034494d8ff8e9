"""Tuning: which settings are worth changing, found under a budget and adopted only on later evidence."""
