"""Reasons that are not published, computed from the home's lake when they are asked for."""
