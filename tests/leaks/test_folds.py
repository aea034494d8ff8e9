"""Walk-forward folds are cut by time: what a random split would gain is not to be had."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.models.frames import SaleFrame
from ml.models.prior import PriorConfig, ScaleConfig, fit_prior
from ml.registry.artifacts import ArtifactStore
from ml.training.walk_forward import WalkForwardConfig, walk_forward

HOUR = 3_600_000_000


def market(seed: int, n: int = 500) -> SaleFrame:
    """A level that drifts with a date feature; rows known late, at one time, and of uncertain time."""
    rng = np.random.default_rng(seed)
    event = np.sort(rng.integers(0, 24 * 100, n)) * HOUR
    width = rng.choice([0, HOUR // 2, 12 * HOUR], n)
    late = np.where(rng.random(n) < 0.2, rng.integers(0, 24 * 20, n), 0) * HOUR
    known = event + width + late
    walk = np.interp(event, np.arange(0, 24 * 101) * HOUR, np.cumsum(rng.normal(0, 0.03, 24 * 101)))
    order = np.argsort(known, kind="stable")
    date = (event / event.max()).astype(np.float32)
    features = np.column_stack([date, rng.normal(size=n).astype(np.float32)])
    return SaleFrame(
        sale_id=pa.chunked_array([pa.array([str(i) for i in range(n)])]),
        collection=np.zeros(n, np.int64),
        collections=["walk"],
        chains=["ethereum"],
        seq=np.arange(1, n + 1),
        known_at=known[order],
        as_of=(event - width)[order],
        target_log=(walk + rng.normal(0, 0.02, n))[order],
        base_log=np.zeros(n),
        floor_log=np.full(n, -0.2),
        features=features[order],
    )


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    refits=st.integers(1, 4),
    first_share=st.floats(0.41, 0.7),
    chosen=st.integers(0, 4),
)
def test_what_was_not_known_before_a_cutoff_changes_nothing_priced_before_the_next(
    seed: int, refits: int, first_share: float, chosen: int
) -> None:
    """No fit saw a row known at or after its cutoff, and no row was priced by a fit later than its own time."""
    sales = market(seed)
    config = WalkForwardConfig(
        refits=refits,
        first_share=first_share,
        prior=PriorConfig(iterations=8),
        scale=ScaleConfig(iterations=4),
    )
    with TemporaryDirectory() as folder:
        walked = walk_forward(sales, ArtifactStore.in_folder(Path(folder)), config)
        for number, fold in enumerate(walked.folds, start=1):
            assert (sales.as_of[walked.fold == number] >= fold.cutoff).all()
            assert fold.rows == (sales.known_at < fold.cutoff).sum()
        fold = walked.folds[chosen % len(walked.folds)]
        unknown = sales.known_at >= fold.cutoff
        sales.target_log[unknown] += 3.0
        again = walk_forward(sales, ArtifactStore.in_folder(Path(folder)), config)
    following = [f.cutoff for f in walked.folds if f.cutoff > fold.cutoff]
    settled = sales.as_of < min(following, default=np.iinfo(np.int64).max)
    np.testing.assert_array_equal(again.prediction_log[settled], walked.prediction_log[settled])
    np.testing.assert_array_equal(again.scale[settled], walked.scale[settled])


def test_a_random_split_would_pay(tmp_path: Path) -> None:
    """The same learner with a date in reach: rows drawn at random know the level of their own day."""
    sales = market(1, n=900)
    config = WalkForwardConfig(
        refits=4, first_share=0.3, prior=PriorConfig(iterations=150, rsm=1.0), scale=ScaleConfig(iterations=2)
    )
    walked = walk_forward(sales, ArtifactStore.in_folder(tmp_path), config)
    tested = np.flatnonzero(walked.fold > 0)
    by_time = np.median(np.abs(sales.target_log - walked.prediction_log)[tested])
    rng = np.random.default_rng(0)
    part = rng.integers(0, 5, len(sales))
    shuffled = np.empty(len(sales))
    for k in range(5):
        model = fit_prior(
            sales.features[part != k], sales.gap_log[part != k], sales.collection[part != k], config.prior
        )
        shuffled[part == k] = model.predict(sales.features[part == k])
    at_random = np.median(np.abs(sales.target_log - shuffled)[tested])
    assert at_random < 0.6 * by_time
