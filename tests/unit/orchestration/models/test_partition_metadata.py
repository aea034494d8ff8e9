"""What the partition of a collection shows of its champion."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest

from ml.registry.champion import Champion
from orchestration.models.assets import champion_metadata

CHAMPION = Champion(
    collection="<b>apes</b>",
    tier="own_model",
    prior_version="p",
    local_sha=None,
    weight=0.0,
    index_fingerprint="i",
    feature_fingerprint="f",
    trained_until=datetime(2026, 1, 2, 3, 4),  # noqa: DTZ001 - the lake keeps naive UTC
    snapshot_id=1,
    numbers={"sales": 449, "candidate": 0.148},
    version=2,
)


def test_tier_error_and_the_newest_sale_are_shown() -> None:
    shown = champion_metadata(CHAMPION)
    assert shown["model_version"] == "<b>apes</b>@2"
    assert (shown["tier"], shown["mean_abs_log_error"], shown["sales"]) == ("own_model", 0.148, 449)
    assert shown["trained_until"].value == datetime(2026, 1, 2, 3, 4, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("numbers", [{}, {"sales": 3}, {"candidate": float("inf")}, {"candidate": None}])
def test_an_error_that_was_not_measured_is_named_so(numbers: dict[str, object]) -> None:
    """Dagster can keep what is shown: no infinity, no nothing."""
    shown = champion_metadata(replace(CHAMPION, numbers=numbers))
    assert shown["mean_abs_log_error"] == "too few sales to measure it"
    dg.AssetMaterialization("price_models", metadata=shown)


def test_a_collection_without_a_champion_has_none() -> None:
    assert champion_metadata(None) == {"model_version": "none", "tier": "none"}
