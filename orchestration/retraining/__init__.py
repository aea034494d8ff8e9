"""Retraining and rollback within limits: which runs are requested when models got worse, and the alerts about it."""
