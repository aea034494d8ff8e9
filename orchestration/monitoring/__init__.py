"""Errors of new sales and drift, each monitoring pass."""
