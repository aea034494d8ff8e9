"""The hedonic index and the features as assets."""
