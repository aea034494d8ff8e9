"""Estimates as assets: scoring, their checks, and the published accuracy."""
