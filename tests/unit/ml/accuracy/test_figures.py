"""The figures of a report are the true ones for ledgers whose truth is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.accuracy import AccuracyConfig, accuracy_of

Build = Callable[..., pa.Table]
QUICK = AccuracyConfig(draws=60, noise_draws=5)


@pytest.fixture(scope="module")
def document(ledger: pa.Table) -> dict[str, Any]:
    return accuracy_of(ledger)


def test_a_true_median_scores_what_its_noise_allows(document: dict[str, Any]) -> None:
    """Half of |N(0, 0.12)| lies below 0.6745 · 0.12; level 1; coverage as promised; every question answered."""
    pooled = document["window"]["pooled"]
    model = pooled["series"]["model"]
    assert model["mdape"] == pytest.approx(0.6745 * 0.12, rel=0.05)
    assert model["level"] == pytest.approx(1.0, abs=0.01)
    assert model["mdape_ci"][0] < 0.6745 * 0.12 < model["mdape_ci"][1]
    assert pooled["coverage"]["80"]["share"] == pytest.approx(0.8, abs=0.02)
    assert pooled["coverage"]["90"]["share"] == pytest.approx(0.9, abs=0.02)
    assert pooled["coverage"]["80"]["width"] == pytest.approx(2 * np.sinh(1.2816 * 0.12), rel=1e-4)
    assert pooled["hit_rate"] == 1.0
    assert pooled["series"]["med_5"]["mdape_gain_ci"][0] > 0


def test_prd_stands_at_its_noise_floor_for_a_perfect_model_and_above_it_for_one_that_flattens(
    ledger: pa.Table, replaced: Callable[[pa.Table, str, Any], pa.Table]
) -> None:
    fair = accuracy_of(ledger, QUICK)["window"]["pooled"]
    assert fair["series"]["model"]["prd"] == pytest.approx(fair["prd_floor"]["prd"], abs=0.01)
    estimate = ledger["estimate_eth"].to_numpy()
    flat = np.exp(0.7 * np.log(estimate) + 0.3 * np.log(estimate).mean())
    flattened = accuracy_of(replaced(ledger, "estimate_eth", flat), QUICK)["window"]["pooled"]
    assert flattened["series"]["model"]["prd"] > flattened["prd_floor"]["prd"] + 0.05


def test_the_headline_is_the_last_share_of_large_collections_also_in_a_ledger_of_the_last_part_only(
    ledger_of: Build,
) -> None:
    ledger = ledger_of((300, 250, 150))
    whole = accuracy_of(ledger, QUICK)
    assert whole["headline"]["pooled"]["n"] == 90 + 75
    assert {row["collection"] for row in whole["headline"]["collections"]} == {"c000", "c001"}
    late = accuracy_of(ledger.filter(pc.greater_equal(ledger["sales_seen"], 100)), QUICK)
    assert late["headline"]["pooled"]["n"] == 90 + 75
    assert late["headline"]["pooled"]["series"] == whole["headline"]["pooled"]["series"]


def test_sales_that_are_not_clean_are_scored_apart(
    ledger: pa.Table, replaced: Callable[[pa.Table, str, Any], pa.Table]
) -> None:
    n = ledger.num_rows
    price = ledger["price_eth"].to_numpy().copy()
    price[::10] *= 50
    dirty = np.arange(n) % 10 == 0
    soiled = replaced(replaced(ledger, "price_eth", price), "is_arms_length", ~dirty)
    document = accuracy_of(replaced(soiled, "is_wash", dirty & (np.arange(n) % 20 == 0)), QUICK)
    assert document["window"]["pooled"]["n"] == n - dirty.sum()
    assert document["window"]["pooled"]["series"]["model"]["mape"] < 0.15
    assert document["not_clean"]["all"]["share"] == pytest.approx(0.1, abs=0.001)
    assert document["not_clean"]["all"]["figures"]["mdape"] > 0.9
    assert document["not_clean"]["wash"]["n"] + document["not_clean"]["other"]["n"] == dirty.sum()


def test_each_collection_counts_once_and_a_tiny_one_not_at_all(ledger_of: Build) -> None:
    window = accuracy_of(ledger_of((300,) * 8 + (3000, 20)), QUICK)["window"]
    vote = window["contest"]["beating"]["best_simple"]
    assert (vote["wins"], vote["n"], window["contest"]["too_small"]) == (9, 9, 1)
    assert vote["share_ci"][0] == pytest.approx(0.7009, abs=1e-3)  # Wilson, 9 of 9
    assert vote["p"] < 0.01
    buckets = window["mape_buckets"]
    assert sum(row["collections"] for row in buckets["buckets"]) == 9
    assert buckets["too_small"] == 1


def test_a_month_whose_intervals_failed_is_distinguished_from_luck(
    ledger_of: Build, replaced: Callable[[pa.Table, str, Any], pa.Table]
) -> None:
    ledger = ledger_of((800,) * 12)
    march = pc.equal(pc.month(ledger["event_time"]), 3).to_numpy(zero_copy_only=False)
    price = ledger["price_eth"].to_numpy().copy()
    price[march] *= np.exp(np.random.default_rng(3).normal(0, 0.2, march.sum()))
    cells = accuracy_of(replaced(ledger, "price_eth", price), QUICK)["window"]["coverage_cells"]
    wrong = {cell["month"] for cell in cells["cells"] if not cell["explained_by_noise"]}
    assert wrong == {"2024-03"}
    assert cells["summary"]["80"]["outside"] > cells["summary"]["80"]["beyond_noise"], (
        "luck alone leaves ±2 points"
    )


def test_sums_need_the_mean(ledger_of: Build) -> None:
    sums = accuracy_of(ledger_of((600,) * 10, noise=0.5), QUICK)["window"]["portfolio"]
    assert sums["portfolios"] == 100
    assert sums["series"]["expected"]["sum_ratio"] == pytest.approx(1.0, abs=0.04)
    assert sums["series"]["model"]["sum_ratio"] == pytest.approx(np.exp(-(0.5**2) / 2), abs=0.04)


def test_the_same_sales_in_another_order_give_the_same_document(ledger: pa.Table) -> None:
    order = np.random.default_rng(0).permutation(ledger.num_rows)
    assert accuracy_of(ledger.take(pa.array(order)), QUICK) == accuracy_of(ledger, QUICK)


def test_chains_are_reported_apart(
    ledger: pa.Table, replaced: Callable[[pa.Table, str, Any], pa.Table]
) -> None:
    chain = ["wax" if name.as_py() > "c005" else "ethereum" for name in ledger["collection"]]
    chains = accuracy_of(replaced(ledger, "chain", chain), QUICK)["headline"]["chains"]
    assert {name: part["contest"]["collections"] for name, part in chains.items()} == {
        "ethereum": 6,
        "wax": 6,
    }
