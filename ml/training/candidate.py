"""The challenger of one collection: fitted, weighed and judged on its own past.

Here: the work a thread does on one collection, from arrays to a verdict. Not here: the booster (`ml.models.local`), the
rules (`ml.training.gate`), reading and registering (`ml.training`).

Concept: three windows in known order. On the oldest the booster is fitted; on the next its weight is chosen;
on the newest it is judged. Only an approved booster is then fitted again on everything, with the settings in force
now; the windows before are priced with those in force when the newest one began (`ml.models.tuned_settings`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.compute.tasks import one_in_a_process
from ml.models.collection_reader import CollectionSales
from ml.models.local import LocalConfig, fit_local, predict_local
from ml.models.tuned_settings import Adopted, settings_at
from ml.registry.artifacts import ArtifactStore
from ml.registry.champion import Champion
from ml.states import Action, Tier
from ml.training.gate import GateConfig, Verdict, choose_weight, judge, local_earns_its_place

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CandidateConfig:
    """How a challenger is made.

    Attributes:
        local: Settings of the booster.
        gate: Thresholds of the decisions.
        min_sales: Sales with a prior's out-of-fold prediction to try a booster (docs/domain.md, section 6).
        weight_share: Share of the sales in the window that chooses the weight.
        gate_share: Share of the sales in the newest window.
        adopted: Settings of the booster that studies adopted for this collection, laid over `local`.
    """

    local: LocalConfig = field(default_factory=LocalConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    min_sales: int = 200
    weight_share: float = 0.15
    gate_share: float = 0.15
    adopted: tuple[Adopted, ...] = ()

    def judged(self, newest: npt.NDArray[np.int64]) -> CandidateConfig:
        """The settings with which sales of a window can be priced without having been chosen on them.

        Args:
            newest: known_at of the window's sales, microseconds, ascending.
        """
        return (
            replace(self, local=settings_at(self.local, self.adopted, int(newest[0])))
            if len(newest)
            else self
        )


@dataclass(frozen=True)
class Candidate:
    """A judged challenger.

    Attributes:
        verdict: The gate's decision.
        local_sha: Digest of the approved booster, already in the artefact store, or None.
        weight: Its weight.
        fit_seconds: Time inside CatBoost fits.
        out_of_sample: Rows for predictions.local_walk_forward: the newest window priced by the booster fitted
            before it, at the weight chosen before it, whether or not the gate then approved; None without a
            booster.
    """

    verdict: Verdict
    local_sha: str | None
    weight: float
    fit_seconds: float
    out_of_sample: pa.Table | None


@dataclass(frozen=True)
class _Windows:
    """Bounds of the three windows: fit [0, weigh), weigh [weigh, judge), judge [judge, n)."""

    weigh: int
    judge: int

    @classmethod
    def of(cls, n: int, config: CandidateConfig) -> _Windows:
        if n < 3 * config.gate.min_rows:
            return cls(n, n)
        judged = max(config.gate.min_rows, int(config.gate_share * n))
        weighed = max(config.gate.min_rows, int(config.weight_share * n))
        return cls(n - judged - weighed, n - judged)


@dataclass(frozen=True)
class CandidateTask:
    """A task for a thread: everything it needs, nothing shared but the artefact store.

    Attributes:
        sales: The collection's past sales.
        champion: The current champion, or None.
        config: Settings.
        artifacts: Where an approved booster is kept.
    """

    sales: CollectionSales
    champion: Champion | None
    config: CandidateConfig
    artifacts: ArtifactStore


@one_in_a_process
def build_candidate(task: CandidateTask) -> Candidate:
    """Fit, weigh and judge one collection's challenger.

    Returns:
        The judged challenger; its booster is stored if it was approved.

    Raises:
        FitTimeoutError: When the fits outlast the collection's time.
    """
    sales, champion, config = task.sales, task.champion, task.config
    deadline = time.monotonic() + config.local.seconds
    store = task.artifacts
    windows = _Windows.of(len(sales), config)
    residual = sales.target_log - sales.prediction_log
    newest = slice(windows.judge, None)
    prior_error = np.abs(residual[newest])
    against = {name: np.abs(values - sales.target_log)[newest] for name, values in sales.baselines.items()}
    against["index"] = np.abs(sales.base_log - sales.target_log)[newest]
    judged = config.judged(sales.known_at[newest])
    trial = _try_local(sales, residual, windows, judged, deadline)
    error, weight = prior_error, 0.0
    if trial.weight > 0.0:
        with_local = np.abs(residual[newest] - trial.weight * trial.newest)
        if local_earns_its_place(with_local, prior_error, against):
            error, weight = with_local, trial.weight
    theirs = _champion_error(sales, champion, residual, windows, store) if champion else None
    verdict = judge(
        len(sales), weight > 0.0, error, prior_error, against, theirs, champion is not None, config.gate
    )
    sha, seconds = None, trial.seconds
    if verdict.tier == Tier.OWN and verdict.action == Action.PROMOTED:
        begun = time.perf_counter()
        learnable = np.flatnonzero(sales.fold > 0)
        settings = settings_at(config.local, config.adopted, None)
        final = fit_local(sales.inputs.rows(learnable), residual[learnable], settings, deadline)
        weight = _carried_over(weight, len(learnable), judged.local, settings)
        seconds += time.perf_counter() - begun
        sha = store.put_model(final)
    return Candidate(verdict, sha, weight if sha else 0.0, seconds, trial.rows)


def _carried_over(weight: float, n: int, judged: LocalConfig, final: LocalConfig) -> float:
    """The judged weight under the final booster's shrinkage: the same share of another ceiling, at most 1."""
    if judged.shrink_rows == final.shrink_rows:
        return weight
    return round(min(1.0, weight * (n + judged.shrink_rows) / (n + final.shrink_rows)), 4)


@dataclass(frozen=True)
class _Trial:
    """The booster of the oldest window: its weight, its residual on the newest window, and its rows."""

    weight: float
    newest: Float
    seconds: float
    rows: pa.Table | None


def _try_local(
    sales: CollectionSales, residual: Float, windows: _Windows, config: CandidateConfig, deadline: float
) -> _Trial:
    learnable = np.flatnonzero(sales.fold[: windows.weigh] > 0)
    total = int((sales.fold > 0).sum())
    if total < config.min_sales or len(learnable) < config.min_sales // 2:
        return _Trial(0.0, np.empty(0), 0.0, None)
    begun = time.perf_counter()
    model = fit_local(sales.inputs.rows(learnable), residual[learnable], config.local, deadline)
    seconds = time.perf_counter() - begun
    later = predict_local(model, sales.inputs.rows(slice(windows.weigh, len(sales))))
    split = windows.judge - windows.weigh
    ceiling = total / (total + config.local.shrink_rows)
    weight, _ = choose_weight(residual[windows.weigh : windows.judge], later[:split], ceiling, config.gate)
    newest = later[split:]
    rows = pa.table(
        {
            "sale_id": sales.sale_id[windows.judge :],
            "collection": pa.repeat(sales.collection, len(newest)),
            "weight": pa.repeat(weight, len(newest)),
            "prediction_log": sales.prediction_log[windows.judge :] + weight * newest,
        }
    )
    return _Trial(weight, newest, seconds, rows)


def _champion_error(
    sales: CollectionSales, champion: Champion, residual: Float, windows: _Windows, store: ArtifactStore
) -> Float:
    """|log error| of the champion on the newest window; NaN where it saw the sale or another prior priced it."""
    newest = slice(windows.judge, None)
    unseen = sales.known_at[newest] > np.datetime64(champion.trained_until, "us").astype(np.int64)
    if champion.tier == Tier.INDEX:
        error = np.abs(sales.base_log - sales.target_log)[newest]
    else:
        unseen &= sales.prior_version[newest] == champion.prior_version
        error = residual[newest]
        if champion.local_sha and champion.weight and unseen.any():
            booster = store.get_model(champion.local_sha)
            error = error - champion.weight * predict_local(booster, sales.inputs.rows(newest))
        error = np.abs(error)
    return np.where(unseen, error, np.nan)
