from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ml.models.frames import SaleFrame
from ml.models.prior import PriorConfig, ScaleConfig
from ml.registry.artifacts import ArtifactStore
from ml.training.walk_forward import WalkForward, WalkForwardConfig, walk_forward

CONFIG = WalkForwardConfig(
    refits=3, first_share=0.3, prior=PriorConfig(iterations=30), scale=ScaleConfig(iterations=20)
)
DAY = 86_400_000_000


def frame(n: int = 1200, uncertainty: int = DAY // 2) -> SaleFrame:
    """Sales one every two hours whose target is explained by one feature; half a day of timestamp uncertainty."""
    rng = np.random.default_rng(4)
    known = np.arange(n, dtype=np.int64) * (DAY // 12)
    features = rng.normal(size=(n, 3)).astype(np.float32)
    return SaleFrame(
        sale_id=pa.chunked_array([pa.array([str(i) for i in range(n)])]),
        collection=rng.integers(0, 5, size=n),
        collections=list("abcde"),
        chains=["ethereum"] * 5,
        seq=np.arange(n, dtype=np.int64),
        known_at=known,
        as_of=known - uncertainty,
        target_log=features[:, 0] * 0.5 + rng.normal(size=n) * 0.1,
        base_log=np.zeros(n),
        floor_log=np.full(n, -0.2),
        features=features,
    )


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore.in_folder(tmp_path)


@pytest.fixture
def walked(store: ArtifactStore) -> WalkForward:
    return walk_forward(frame(), store, CONFIG)


def test_a_planted_future_changes_no_earlier_prediction(store: ArtifactStore, walked: WalkForward) -> None:
    sales = frame()
    cutoff = walked.folds[1].cutoff
    later = sales.known_at >= cutoff
    sales.target_log[later] += 3.0
    sales.features[sales.as_of >= cutoff] = 9.0
    again = walk_forward(sales, store, CONFIG)
    earlier = sales.as_of < cutoff
    np.testing.assert_array_equal(again.prediction_log[earlier], walked.prediction_log[earlier])
    np.testing.assert_array_equal(again.scale[earlier], walked.scale[earlier])
    assert not np.allclose(again.prediction_log[~earlier], walked.prediction_log[~earlier])


def test_a_sale_is_priced_by_models_fitted_before_its_as_of_time(walked: WalkForward) -> None:
    sales = frame()
    cutoffs = np.array([0, *(fold.cutoff for fold in walked.folds)])
    assert (sales.as_of[walked.fold > 0] >= cutoffs[walked.fold[walked.fold > 0]]).all()
    for fold in walked.folds:
        assert fold.rows == (sales.known_at < fold.cutoff).sum()


def test_before_the_first_fold_the_index_prices_and_after_it_the_prior_is_better(walked: WalkForward) -> None:
    sales = frame()
    first = walked.fold == 0
    np.testing.assert_array_equal(walked.prediction_log[first], sales.base_log[first])
    error = np.abs(sales.target_log - walked.prediction_log)
    assert error[~first].mean() < 0.6 * np.abs(sales.target_log - sales.base_log)[~first].mean()


def test_stored_folds_are_reused_until_the_live_one_is_stale(
    store: ArtifactStore, walked: WalkForward
) -> None:
    fitted: list[int] = []
    again = walk_forward(frame(), store, CONFIG, walked.folds, lambda fold: fitted.append(fold.number))
    assert fitted == []
    np.testing.assert_array_equal(again.prediction_log, walked.prediction_log)
    longer = walk_forward(frame(1800), store, CONFIG, walked.folds, lambda fold: fitted.append(fold.number))
    assert fitted == [len(walked.folds) + 1]
    assert longer.folds[:-1] == walked.folds


def test_the_same_sales_and_seed_give_the_same_bytes(tmp_path: Path, walked: WalkForward) -> None:
    again = walk_forward(frame(), ArtifactStore.in_folder(tmp_path / "other"), CONFIG)
    assert again.folds == walked.folds
