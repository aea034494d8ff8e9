"""Marketplaces and exchanges in memory, behind a local HTTP server, with the faults of real ones."""
