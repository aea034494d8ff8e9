"""Reliability: replay of quarantined rows, and drills."""
