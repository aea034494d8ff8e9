"""Backups of a home: taking them, restoring them, and replacing single damaged files."""
