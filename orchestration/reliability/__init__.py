"""Proof that the system holds: replay of quarantined rows, and drills."""
