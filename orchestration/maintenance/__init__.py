"""Keeping the lake small."""
