"""The history of decisions about a collection (`assay why`)."""
