"""Which model prices a collection: content-addressed artefacts and the MLflow registry of champions."""
