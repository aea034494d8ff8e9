"""`assay metrics`: the state of a home as Prometheus reads it, and alerts of Prometheus into Assay's own channels."""
