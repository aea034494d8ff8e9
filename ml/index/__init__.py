"""The causal Gaussian-process hedonic index: what a collection's sales say about its level, traits and tokens."""
