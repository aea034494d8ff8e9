"""The pooled prior as a product: trained, judged, calibrated and recorded.

Here: `train_pooled`, which turns `features.sale_features` into a live prior, the walk-forward table and interval
calibration. Not here: folds and fits (`ml.training.walk_forward`, `ml.models.prior`).

Concept: the walk-forward decides everything. The live prior is the newest fold of the same recipe; the recipe
is approved only while its out-of-fold errors on the newest sales beat every baseline. Old folds keep their
models, so a rerun predicts again but fits only what is due, or whose file is lost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

import duckdb
import numpy as np
import numpy.typing as npt

from ml.intervals.calibration import Calibration, calibrate
from ml.metrics.baselines import baseline_logs
from ml.models.frames import FeatureSet, SaleFrame, read_sales
from ml.models.index_fallback import IndexFallback, IndexFallbackConfig, learn_index_fallback
from ml.models.markets import MIN_MARKET_SALES, split_markets
from ml.models.tuned_settings import MARKET, read_adopted, recipe
from ml.registry.artifacts import ArtifactStore
from ml.registry.mirror import Decision
from ml.states import Action
from ml.training.pooled_decisions import judge_recipe, lost_files_decision
from ml.training.walk_forward import Fold, WalkForward, WalkForwardConfig, prior_version, walk_forward

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PooledConfig:
    """Settings of the pooled stage.

    Attributes:
        walk_forward: Folds, prior, scale and calibration.
        min_market_sales: Sales from which a chain has a prior of its own.
        gate_rows: Newest sales on which the recipe must beat the baselines; many, because the newest few were priced by
            an ageing fold, which is a reason to refit and not to reject.
        index_fallback: What is learnt for collections where only the index prices.
    """

    walk_forward: WalkForwardConfig = field(default_factory=WalkForwardConfig)
    min_market_sales: int = MIN_MARKET_SALES
    gate_rows: int = 50_000
    index_fallback: IndexFallbackConfig = field(default_factory=IndexFallbackConfig)

    def fingerprint(self) -> str:
        """Digest of the recipe; folds fitted under another one are not reused.

        Adopted settings (`ml.models.tuned_settings`) are not in it: each belongs to the folds after its
        decision, and the folds before it stay what they were.
        """
        shape = {"prior": asdict(self.walk_forward.prior), "scale": asdict(self.walk_forward.scale)}
        for part in shape.values():
            part.pop("threads")
        return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class PooledOutcome:
    """What a pooled training found; nothing is written yet.

    Attributes:
        frame: The past sales it read.
        walk_forward: Their out-of-fold predictions, with the approved folds of all markets.
        baselines: Baseline name to ln ETH, aligned with `frame`.
        prior_versions: Prior behind each prediction, None where only the index prices; shape (n,).
        calibrations: Live prior version to the interval calibration on its market's newest sales.
        index_fallback: Market to its rarity effects and intervals where only the index prices.
        decisions: The gate's row for each market whose prior was refitted, and a row for each market of which lost
            files were fitted again.
        prior_version: The live prior of the largest market, or None.
        refitted: Number of folds fitted in this run.
        feature_fingerprint: Feature schema of the fits.
        config_fingerprint: Settings of the fits.
    """

    frame: SaleFrame
    walk_forward: WalkForward
    baselines: dict[str, Float]
    prior_versions: npt.NDArray[np.object_]
    calibrations: dict[str, Calibration]
    index_fallback: dict[str, IndexFallback]
    decisions: list[Decision]
    prior_version: str | None
    refitted: int
    feature_fingerprint: str
    config_fingerprint: str

    @property
    def decision(self) -> Decision | None:
        """The first decision of the largest market that was refitted, or None."""
        return self.decisions[0] if self.decisions else None


def train_pooled(
    con: duckdb.DuckDBPyConnection,
    artifacts: ArtifactStore,
    *,
    run_id: str,
    config: PooledConfig | None = None,
    features: FeatureSet | None = None,
    on_fold: Callable[[Fold], None] | None = None,
) -> PooledOutcome:
    """Walk forward over all past sales, market by market, fitting the folds that are due, and judge the recipe.

    Args:
        con: A read connection of one snapshot.
        artifacts: Where models are kept.
        run_id: Written to the decision.
        config: Settings.
        features: Features to use; those declared now when None.
        on_fold: Called after each fit.

    Returns:
        Everything to record; pass it to `record_pooled`.
    """
    config = config or PooledConfig()
    features = features or FeatureSet.declared()
    frame = read_sales(con, features.names)
    stored = _read_folds(con, features, config)
    adopted = read_adopted(con, MARKET, recipe(features.fingerprint, config.fingerprint()))
    baselines = baseline_logs(con, frame.sale_id)
    merged, index_fallback = _Merged.empty(frame), {}
    for market, mask in split_markets(frame, config.min_market_sales).items():
        known = [fold for fold in stored if fold.market == market]
        sales = frame.rows(mask)
        walk = replace(config.walk_forward, adopted=adopted.get(market, ()))
        result = walk_forward(sales, artifacts, walk, known, on_fold, market)
        merged.refitted += len(result.folds) - len(known) + len(result.restored)
        if result.restored:
            merged.decisions.append(lost_files_decision(sales, result.restored, run_id))
        if len(result.folds) > len(known):
            own = {name: values[mask] for name, values in baselines.items()}
            decision = judge_recipe(sales, result, own, config.gate_rows, run_id)
            merged.decisions.append(decision)
            if decision.action == Action.REJECTED:
                result = _without_live_fold(result)
        merged.add(mask, sales, result, config)
        index_fallback[market] = learn_index_fallback(con, sales, config.index_fallback)
    return PooledOutcome(
        frame=frame,
        walk_forward=merged.walk_forward(),
        baselines=baselines,
        prior_versions=merged.prior_versions,
        calibrations=merged.calibrations,
        index_fallback=index_fallback,
        decisions=merged.decisions,
        prior_version=next(iter(merged.live), None),
        refitted=merged.refitted,
        feature_fingerprint=features.fingerprint,
        config_fingerprint=config.fingerprint(),
    )


@dataclass
class _Merged:
    """Walk-forwards of the markets, put back into the order of the whole frame."""

    fold: npt.NDArray[np.int64]
    prediction_log: Float
    scale: Float
    tier: npt.NDArray[np.int8]
    half_80: Float
    half_90: Float
    prior_versions: npt.NDArray[np.object_]
    folds: list[Fold] = field(default_factory=list)
    live: list[str] = field(default_factory=list)
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    refitted: int = 0

    @classmethod
    def empty(cls, frame: SaleFrame) -> _Merged:
        n = len(frame)
        nothing = [np.full(n, np.nan) for _ in range(4)]
        return cls(
            np.zeros(n, np.int64),
            nothing[0],
            nothing[1],
            np.zeros(n, np.int8),
            nothing[2],
            nothing[3],
            _none(n),
        )

    def add(
        self, mask: npt.NDArray[np.bool_], sales: SaleFrame, result: WalkForward, config: PooledConfig
    ) -> None:
        """Take over one market's walk-forward."""
        for name in ("fold", "prediction_log", "scale", "tier", "half_80", "half_90"):
            getattr(self, name)[mask] = getattr(result, name)
        versions = np.array([None, *(prior_version(fold.prior_sha) for fold in result.folds)], dtype=object)
        self.prior_versions[mask] = versions[result.fold]
        self.folds.extend(result.folds)
        if not result.folds:
            return
        live = prior_version(result.folds[-1].prior_sha)
        self.live.append(live)
        error = sales.target_log - result.prediction_log
        settings = config.walk_forward.calibration
        calibration = calibrate(error, result.scale, result.tier, settings, sales.known_at)
        if calibration is not None:
            self.calibrations[live] = calibration

    def walk_forward(self) -> WalkForward:
        """All markets as one."""
        return WalkForward(
            tuple(self.folds),
            self.fold,
            self.prediction_log,
            self.scale,
            self.tier,
            self.half_80,
            self.half_90,
        )


def _none(n: int) -> npt.NDArray[np.object_]:
    return np.full(n, None, dtype=object)


def _read_folds(con: duckdb.DuckDBPyConnection, features: FeatureSet, config: PooledConfig) -> list[Fold]:
    """Folds fitted earlier under the same features and settings."""
    rows = con.execute(
        """
        select market, fold, epoch_us(cutoff), sales, prior_sha, scale_sha from ops.prior_folds
        where feature_fingerprint = $1 and config_fingerprint = $2 order by market, fold
        """,
        [features.fingerprint, config.fingerprint()],
    ).fetchall()
    return [Fold(*row) for row in rows]


def _without_live_fold(result: WalkForward) -> WalkForward:
    """The walk-forward as if its newest fold, which has no sales yet, had not been fitted."""
    return WalkForward(**{**result.__dict__, "folds": result.folds[:-1]})
