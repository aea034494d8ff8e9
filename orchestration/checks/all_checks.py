"""Every group of checks as Dagster sees it. Here: the list. Not here: what is checked (`orchestration.checks`)."""

from orchestration.checks.factory import check_group
from orchestration.ingestion.checks import RAW
from orchestration.marts.checks import FEATURES, MARTS
from orchestration.models.checks import MODELS
from orchestration.predictions.checks import PREDICTIONS

CHECKS = (*RAW, *MARTS, *FEATURES, *MODELS, *PREDICTIONS)
CHECK_GROUPS = [
    check_group("checks_of_raw", RAW),
    check_group("checks_of_marts", MARTS),
    check_group("checks_of_features", FEATURES),
    check_group("checks_of_models", MODELS),
    check_group("checks_of_predictions", PREDICTIONS),
]
