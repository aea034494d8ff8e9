"""Every group of checks as Dagster sees it. Here: the list. Not here: what is checked (`orchestration.checks`)."""

from orchestration.checks.built import FEATURES, MARTS
from orchestration.checks.factory import check_group
from orchestration.checks.models import MODELS
from orchestration.checks.predicted import PREDICTIONS
from orchestration.checks.raw import RAW

CHECKS = (*RAW, *MARTS, *FEATURES, *MODELS, *PREDICTIONS)
CHECK_GROUPS = [
    check_group("checks_of_raw", RAW),
    check_group("checks_of_marts", MARTS),
    check_group("checks_of_features", FEATURES),
    check_group("checks_of_models", MODELS),
    check_group("checks_of_predictions", PREDICTIONS),
]
