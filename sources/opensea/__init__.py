"""OpenSea (API v2) as a source."""
