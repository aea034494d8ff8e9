"""What a token is worth: features, models, uncertainty, evaluation and registry, without Dagster."""
