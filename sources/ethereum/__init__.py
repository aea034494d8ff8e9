"""The market on an Ethereum chain: a node is asked for logs up to its finalized head."""
