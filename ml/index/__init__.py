"""The causal Gaussian-process hedonic index: what sales imply for a collection's level, traits and tokens."""
