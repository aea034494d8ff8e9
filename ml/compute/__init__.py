"""How work is done: threads, float matrices, ASOF joins. Not here: anything about prices."""
