"""A chain on this machine, to trade on: a node (anvil), contracts, trades. For demonstrations and tests alone."""
