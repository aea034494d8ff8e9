"""Training of many collections in one go: read in bulk, fit in threads, judge, register.

Here: `train_collections`, the one function behind backfills and worklists, and `record_training`. Not here: one fit
(`ml.models.local`), one decision (`ml.training.gate`), the work on one collection (`ml.training.candidate`), what the
lake knew before (`ml.training.before_training`), or where threads come from (`ml.compute.backend`).

Concept: everything that is not a fit runs while fits run. Data of many collections arrive in a few
large Arrow reads in the caller's thread while the threads fit; the largest collections go first; registry
writes happen in the caller's thread as results arrive. A collection that fails, in its fit or at the registry, is an
outcome like any other, until the failure budget is spent.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import duckdb
import pyarrow as pa

from ml.compute.backend import Backend, ThreadBackend
from ml.compute.tasks import Raised
from ml.models.collection_reader import WITHOUT_FEATURES, read_collections
from ml.models.frames import FeatureSet
from ml.models.tuned_settings import recipe_of_local
from ml.registry.champion import Champion
from ml.registry.champions import ChampionRegistry
from ml.registry.errors import RegistryError
from ml.registry.lost_files import RULE_LOST, LostFile, lost_boosters
from ml.registry.mirror import Decision, record
from ml.states import Action
from ml.tables.writing import append
from ml.training.before_training import BeforeTraining
from ml.training.candidate import Candidate, CandidateConfig, CandidateTask, build_candidate


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training run.

    Attributes:
        candidate: How one collection's challenger is fitted and judged.
        rows_per_read: Sales read at a time; bounds memory.
        new_sales: A champion under the same prior and features with fewer new sales than this is left in
            place unjudged.
        refit_all: Fit and judge every key, however few its new sales.
        failure_share: Share of the keys that may fail.
        failure_floor: Failures that are always allowed, so that one bad collection of three does not fail the run.
    """

    candidate: CandidateConfig = field(default_factory=CandidateConfig)
    rows_per_read: int = 250_000
    new_sales: int = 20
    refit_all: bool = False
    failure_share: float = 0.05
    failure_floor: int = 3


@dataclass(frozen=True)
class TrainingOutcome:
    """The outcome of one key.

    Attributes:
        collection: The key.
        status: trained, skipped (nothing new to learn) or failed.
        champion: The champion after the training, or None.
        decision: The row for ops.decision_log, or None when nothing was judged.
        reason: In words; the error of a failure.
        fit_seconds: Time inside CatBoost fits.
        candidate: The judged challenger with its out-of-sample predictions, or None.
    """

    collection: str
    status: str
    champion: Champion | None
    decision: Decision | None
    reason: str
    fit_seconds: float = 0.0
    candidate: Candidate | None = None


class FailureBudgetExceededError(RuntimeError):
    """More collections failed than a run may lose."""


@dataclass(frozen=True)
class TrainingReport:
    """All outcomes of a run.

    Attributes:
        outcomes: One per key.
        fit_seconds: Time inside CatBoost fits, summed over threads.
        seconds: Wall-clock time of the stage.
        failures_allowed: The failure budget, in collections.
    """

    outcomes: list[TrainingOutcome]
    fit_seconds: float
    seconds: float
    failures_allowed: int

    @property
    def failed(self) -> list[TrainingOutcome]:
        """The failures."""
        return [o for o in self.outcomes if o.status == Action.FAILED]

    def counts(self) -> dict[str, int]:
        """Number of outcomes by action (promoted, rejected, …), skipped and failed."""
        return dict(Counter(str(o.decision.action if o.decision else o.status) for o in self.outcomes))

    def check_failure_budget(self) -> None:
        """Raise when the budget is spent.

        Raises:
            FailureBudgetExceededError: Names the first failures.
        """
        if len(self.failed) > self.failures_allowed:
            shown = "; ".join(f"{outcome.collection}: {outcome.reason}" for outcome in self.failed[:5])
            raise FailureBudgetExceededError(
                f"{len(self.failed)} of {len(self.outcomes)} collections failed, {self.failures_allowed} "
                f"may: {shown}. Fix the cause and run the failed keys again; the others are done"
            )


def train_collections(
    con: duckdb.DuckDBPyConnection,
    keys: Sequence[str],
    registry: ChampionRegistry,
    *,
    run_id: str,
    snapshot_id: int,
    index_fingerprint: str,
    config: TrainingConfig | None = None,
    features: FeatureSet | None = None,
    backend: Backend | None = None,
    on_result: Callable[[TrainingOutcome], None] | None = None,
) -> TrainingReport:
    """Fit, judge and register a challenger for each key; one whose booster's file is lost is always fitted.

    Args:
        con: A read connection of one snapshot, with predictions.prior_walk_forward filled.
        keys: Collections; others are not touched.
        registry: Where approved champions are registered.
        run_id: Written to decisions.
        snapshot_id: The snapshot that `con` reads.
        index_fingerprint: Parameters of the hedonic index behind the features.
        config: Settings.
        features: Features to use; those declared now when None.
        backend: Where fits run; two threads when None.
        on_result: Called in the caller's thread with each outcome as it arrives.

    Returns:
        The outcomes. Nothing is written to the lake: pass the report to `record_training`.
    """
    started = time.perf_counter()
    config = config or TrainingConfig()
    features = features or FeatureSet.declared()
    backend = backend or ThreadBackend()
    recipe = recipe_of_local(config.candidate.local, features.fingerprint)
    state = BeforeTraining.read(con, keys, features, index_fingerprint, snapshot_id, run_id, recipe)
    lost = {file.owner: file for file in lost_boosters(state.champions.values(), registry.artifacts)}
    outcomes: list[TrainingOutcome] = []

    def finish(outcome: TrainingOutcome) -> None:
        outcomes.append(outcome)
        if on_result:
            on_result(outcome)

    due = []
    for key in state.ordered(keys):
        reason = state.nothing_to_learn(key, 0 if config.refit_all or key in lost else config.new_sales)
        if reason is None:
            due.append(key)
        else:
            finish(TrainingOutcome(key, "skipped", state.champions.get(key), None, reason))

    unread = set(due)

    def tasks() -> Iterator[CandidateTask]:
        sizes = [state.sales[key] for key in due]
        for sales in read_collections(con, due, sizes, features, config.rows_per_read):
            key = sales.collection
            unread.discard(key)
            own = replace(config.candidate, adopted=state.adopted.get(key, ()))
            # A champion that cannot price cannot be compared, and must not be kept: as if there were none.
            rival = None if key in lost else state.champions.get(key)
            if rival is not None and rival.feature_fingerprint != features.fingerprint:
                rival = None
            yield CandidateTask(sales, rival, own, registry.artifacts)

    for task, result in backend.run(build_candidate, tasks()):
        finish(_conclude(task, result, state, registry, lost.get(task.sales.collection)))
    for key in sorted(unread):
        finish(TrainingOutcome(key, "skipped", state.champions.get(key), None, WITHOUT_FEATURES))
    fits = sum(outcome.fit_seconds for outcome in outcomes)
    allowed = max(config.failure_floor, int(config.failure_share * len(keys)))
    return TrainingReport(outcomes, fits, time.perf_counter() - started, allowed)


def record_training(con: duckdb.DuckDBPyConnection, report: TrainingReport) -> None:
    """Write champions, decisions and out-of-sample local predictions, in the caller's transaction."""
    judged = [outcome for outcome in report.outcomes if outcome.decision is not None]
    promoted = [o.champion for o in judged if o.champion is not None and o.candidate is not None]
    record(con, promoted, [outcome.decision for outcome in judged if outcome.decision is not None])
    if judged:
        con.execute(
            "delete from predictions.local_walk_forward where collection in (select unnest($1))",
            [[outcome.collection for outcome in judged]],
        )
    tables = [
        o.candidate.out_of_sample for o in judged if o.candidate and o.candidate.out_of_sample is not None
    ]
    if tables:
        append(con, "predictions.local_walk_forward", pa.concat_tables(tables))


def _conclude(
    task: CandidateTask,
    result: Candidate | Raised,
    state: BeforeTraining,
    registry: ChampionRegistry,
    lost: LostFile | None,
) -> TrainingOutcome:
    key = task.sales.collection
    current = state.champions.get(key)
    if isinstance(result, Raised):
        if not isinstance(result.error, Exception):
            raise result.error
        return TrainingOutcome(
            key, Action.FAILED, current, None, f"{type(result.error).__name__}: {result.error}"
        )
    verdict = result.verdict
    challenger = Champion(
        collection=key,
        tier=verdict.tier,
        prior_version=state.live_priors.get(key),
        local_sha=result.local_sha,
        weight=result.weight,
        index_fingerprint=state.index_fingerprint,
        feature_fingerprint=state.features.fingerprint,
        trained_until=state.newest[key],
        snapshot_id=state.snapshot_id,
        numbers=verdict.numbers,
    )
    action, rule, reason, champion = verdict.action, verdict.rule, verdict.reason, current
    if action in {Action.PROMOTED, Action.FELL_BACK}:
        if current is not None and current.identity() == challenger.identity():
            action, rule, reason = Action.KEPT, "unchanged", "the challenger is the champion, to the byte"
        else:
            try:
                champion = registry.promote(challenger, current)
            except RegistryError as error:
                return TrainingOutcome(key, Action.FAILED, current, None, str(error), result.fit_seconds)
    if lost is not None:
        rule, reason = RULE_LOST, f"{lost}; trained again: {reason}"
    promoted = champion if action in {Action.PROMOTED, Action.FELL_BACK} else None
    name = promoted.model_version if promoted else challenger.identity()[:12]
    decision = Decision(
        state.watermark,
        state.run_id,
        key,
        action,
        rule,
        reason,
        {**verdict.numbers, "prior_version": challenger.prior_version},
        name,
        current.model_version if current else None,
    )
    return TrainingOutcome(key, "trained", champion, decision, reason, result.fit_seconds, result)
