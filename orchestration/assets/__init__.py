"""The asset graph, a module per group: raw, marts, features, models, predictions, monitoring."""
