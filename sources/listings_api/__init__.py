"""Any JSON API of listings as a source."""
