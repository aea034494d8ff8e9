"""Which model speaks for a collection: content-addressed artefacts and the MLflow registry of champions."""
