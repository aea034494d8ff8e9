"""Error metrics and the simple valuations that a model must beat."""
