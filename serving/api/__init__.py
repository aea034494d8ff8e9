"""The HTTP interface over the store: routes, keys, limits, problem details, metrics."""
