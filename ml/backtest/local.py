"""Local boosters of a backtest: judged at each refit on what was known then, by the production gate.

Here: who is judged when, and the champion that follows. Not here: fitting and judging one collection
(`ml.training.candidate`), or the prior beneath (`ml.backtest.prior`).

Concept: a collection is judged at a refit when it trades in the period that follows and there is enough that its
champion has not been judged on; otherwise the champion is carried forward as the whole tuple it is, with its own
prior. A collection that does not trade costs nothing and needs no row in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.backtest.data import History
from ml.backtest.parts import BacktestChampion
from ml.backtest.prior import Walked
from ml.compute.backend import Backend
from ml.compute.tasks import Raised
from ml.index.params import DEFAULT_PARAMS
from ml.metrics.baselines import BASELINES
from ml.models.collection_reader import BASELINE_COLUMNS, CollectionSales, read_collections
from ml.models.frames import FeatureSet
from ml.registry.artifacts import ArtifactStore
from ml.registry.champion import Champion
from ml.states import Action
from ml.tables.writing import timestamp
from ml.training.candidate import Candidate, CandidateConfig, CandidateTask, build_candidate

WALKED_TABLE = "backtest_walked"


@dataclass(frozen=True)
class LocalSales:
    """Sales of one collection in known order, and where they are in the history's frame."""

    sales: CollectionSales
    rows: npt.NDArray[np.int64]

    def known(self, count: int, walked: Walked) -> CollectionSales:
        """The first `count` sales with the out-of-fold predictions of the walk so far."""
        s, rows = self.sales, self.rows[:count]
        return replace(
            s,
            sale_id=s.sale_id.slice(0, count),
            known_at=s.known_at[:count],
            fold=walked.fold[rows],
            prior_version=walked.version[rows],
            target_log=s.target_log[:count],
            base_log=s.base_log[:count],
            prediction_log=walked.prediction_log[rows],
            baselines={name: values[:count] for name, values in s.baselines.items()},
            numbers=s.numbers[:count],
            traits=s.traits.slice(0, count),
        )


def read_local_sales(
    con: duckdb.DuckDBPyConnection,
    history: History,
    features: FeatureSet,
    keys: Sequence[str],
    rows_per_read: int = 250_000,
) -> dict[str, LocalSales]:
    """The arm's-length sales of the keys, once for all refits; keys without any are left out."""
    frame = history.frame
    n = len(frame)
    walked = pa.table(
        {
            "sale_id": frame.sale_id,
            "collection": pa.array(frame.collections, pa.string()).take(pa.array(frame.collection)),
            "seq": frame.seq,
            "known_at": pa.array(frame.known_at).cast(pa.timestamp("us")),
            "fold": np.zeros(n, np.int64),
            "prior_version": pa.nulls(n, pa.string()),
            "target_log": frame.target_log,
            "base_log": frame.base_log,
            "prediction_log": frame.base_log,
            "half_80": np.full(n, np.nan),
            **{BASELINE_COLUMNS[name]: history.baselines[name] for name in BASELINES},
        }
    )
    counts = np.bincount(frame.collection, minlength=len(frame.collections))
    size_of = dict(zip(frame.collections, counts.tolist(), strict=True))
    traded = sorted(key for key in keys if size_of.get(key))
    con.register(WALKED_TABLE, walked)
    try:
        sizes = [size_of[key] for key in traded]
        read = list(read_collections(con, traded, sizes, features, rows_per_read, WALKED_TABLE))
    finally:
        con.unregister(WALKED_TABLE)
    if not read:
        return {}
    ids = pa.concat_arrays([sales.sale_id.cast(pa.string()) for sales in read])
    places = pc.index_in(ids, value_set=frame.sale_id.cast(pa.string())).to_numpy().astype(np.int64)
    ends = np.cumsum([len(sales) for sales in read])
    return {
        sales.collection: LocalSales(sales, places[end - len(sales) : end])
        for sales, end in zip(read, ends, strict=True)
    }


@dataclass(frozen=True)
class JudgeRules:
    """Settings of one refit's judgements.

    Attributes:
        cutoff: Microseconds; only sales known before are read.
        name: What the versions of this refit are called, as in `bt2021-04-01`.
        candidate: How a challenger is made.
        new_sales: Sales since it was last judged below which a champion that could have a booster is carried forward.
        feature_fingerprint: Feature schema in use.
        artifacts: Where boosters are kept.
        backend: Where fits run.
        failures: Share of the judged that may fail (three always may).
    """

    cutoff: int
    name: str
    candidate: CandidateConfig
    new_sales: int
    feature_fingerprint: str
    artifacts: ArtifactStore
    backend: Backend
    failures: float = 0.05


class TooManyFailuresError(RuntimeError):
    """More collections of a refit failed than the failure budget allows."""


def judge_due_collections(
    local: dict[str, LocalSales],
    keys: Sequence[str],
    champions: dict[str, BacktestChampion],
    walked: Walked,
    live_priors: dict[str, str | None],
    rules: JudgeRules,
) -> dict[str, BacktestChampion]:
    """Judge the keys that are due and return every champion after the refit.

    Args:
        local: Sales of each collection.
        keys: Collections that trade in the period that follows.
        champions: Champions before.
        walked: Out-of-fold predictions by the folds before this refit's.
        live_priors: Version of the prior in force from the cutoff on, by collection.
        rules: Settings.

    Raises:
        TooManyFailuresError: past the failure budget.
    """
    result = dict(champions)
    counts = {
        key: int(np.searchsorted(local[key].sales.known_at, rules.cutoff)) for key in keys if key in local
    }
    due = [
        key
        for key in sorted(counts, key=lambda k: (-counts[k], k))
        if _is_due(counts[key], champions.get(key), rules)
    ]

    def tasks() -> Iterator[CandidateTask]:
        for key in due:
            held = champions.get(key)
            sales = local[key].known(counts[key], walked)
            yield CandidateTask(sales, held.champion if held else None, rules.candidate, rules.artifacts)

    failed: list[str] = []
    for task, candidate in rules.backend.run(build_candidate, tasks()):
        key = task.sales.collection
        if isinstance(candidate, Raised):
            if not isinstance(candidate.error, Exception):
                raise candidate.error
            failed.append(f"{key}: {type(candidate.error).__name__}: {candidate.error}")
            continue
        result[key] = _champion_after(task, candidate, champions.get(key), live_priors.get(key), rules)
    if len(failed) > max(3, int(rules.failures * len(due))):
        raise TooManyFailuresError(
            f"{len(failed)} of {len(due)} collections failed at the refit {rules.name}, expected at most "
            f"{max(3, int(rules.failures * len(due)))}; the first: {failed[0]}"
        )
    return result


def _is_due(count: int, held: BacktestChampion | None, rules: JudgeRules) -> bool:
    """A booster costs a fit, so it waits for new sales; without one a judgement is free and follows the prior."""
    if count == 0:
        return False
    if held is None or count < rules.candidate.min_sales:
        return True
    return count - held.judged_on >= rules.new_sales


def _champion_after(
    task: CandidateTask,
    candidate: Candidate,
    held: BacktestChampion | None,
    live_prior: str | None,
    rules: JudgeRules,
) -> BacktestChampion:
    """The champion after a judgement; one that changes nothing leaves the version as it was."""
    verdict, count = candidate.verdict, len(task.sales)
    if verdict.action not in (Action.PROMOTED, Action.FELL_BACK):
        assert held is not None, "the gate rejects a challenger only against a champion"
        return replace(held, judged_on=count)
    key = task.sales.collection
    challenger = Champion(
        collection=key,
        tier=verdict.tier,
        prior_version=live_prior,
        local_sha=candidate.local_sha,
        weight=candidate.weight,
        index_fingerprint=DEFAULT_PARAMS.fingerprint(),
        feature_fingerprint=rules.feature_fingerprint,
        trained_until=timestamp(int(task.sales.known_at[-1])),
        snapshot_id=0,
    )
    if held is not None and held.champion.identity() == challenger.identity():
        return replace(held, judged_on=count)
    return BacktestChampion(challenger, f"{key}@{rules.name}", count)
