"""The causal Gaussian-process hedonic index: what sales say about a collection's level, traits and tokens."""
