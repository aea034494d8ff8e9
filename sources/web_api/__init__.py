"""Paged JSON APIs over HTTP, read safely: what the sources of marketplaces and of rates share."""
