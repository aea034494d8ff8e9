"""One page in each module; `show` draws it."""
