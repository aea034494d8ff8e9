"""Where facts are kept: the one place that opens, reads, writes and versions the lake."""
