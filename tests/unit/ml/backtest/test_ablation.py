"""An ablation row is measured before the test sample, and an ingredient that carries the price is missed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ml.backtest.ablation import Variant, ablate
from ml.models.frames import SaleFrame
from ml.models.prior import PriorConfig
from ml.training.walk_forward import WalkForwardConfig

NAMES = ("b_mean_gap", "med_5_gap", "own_sales")
CONFIG = WalkForwardConfig(refits=3, prior=PriorConfig(iterations=60, threads=1))
VARIANTS = (Variant("full"), Variant("blind", ("index",)), Variant("unneeded", ("token",)))


def market(n: int = 1200, late: float = 0.0) -> SaleFrame:
    """Two collections; the index feature explains the gap, the others nothing; `late` spoils the last 30 %."""
    rng = np.random.default_rng(3)
    features = rng.normal(0, 0.3, (n, 3)).astype(np.float32)
    collection = np.arange(n) % 2
    gap = features[:, 0] + rng.normal(0, 0.05, n)
    gap[int(0.7 * n) :] += late
    known = np.arange(n, dtype=np.int64) * 3_600_000_000
    return SaleFrame(
        sale_id=pa.chunked_array([[str(i) for i in range(n)]]),
        collection=collection,
        collections=["a", "b"],
        chains=["ethereum", "ethereum"],
        seq=np.arange(n) // 2 + 1,
        known_at=known,
        as_of=known,
        target_log=gap,
        base_log=np.zeros(n),
        floor_log=np.zeros(n),
        features=features,
    )


def measure(frame: SaleFrame) -> dict[str, dict[str, float]]:
    baselines = {"med_5": np.zeros(len(frame))}
    return {row["name"]: row for row in ablate(frame, baselines, NAMES, CONFIG, variants=VARIANTS)}


def test_an_ingredient_is_worth_what_its_absence_costs() -> None:
    rows = measure(market())
    assert rows["blind"]["mae_log"] > 2 * rows["full"]["mae_log"]
    assert rows["unneeded"]["mae_log"] == pytest.approx(rows["full"]["mae_log"], rel=0.2)
    assert rows["full"]["share_beating_med_5"] == 1.0


def test_what_happens_in_the_test_sample_changes_no_row() -> None:
    assert measure(market(late=2.0)) == measure(market())


def test_a_market_without_sizeable_collections_is_refused() -> None:
    with pytest.raises(ValueError, match="expected collections with at least 200 sales"):
        measure(market(n=300))
