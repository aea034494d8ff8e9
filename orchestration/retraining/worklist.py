"""Which collections the next worklist run trains: within the cap, the cooldown and the budget of the day.

Here: the choice, from the queue and what was requested before; no instance, no clock. Not here: the sensor
(`orchestration.retraining.sensors`), or which collections are queued (`ml.retraining.queue`).

Concept: a run is requested first, starts later and may be killed after that. What was requested is therefore
remembered by the sensor (its cursor), what was launched by the queue, and both count. The run key holds the
collections, how often each was tried, and the day: two ticks with the same state ask for the same run, and Dagster
starts it once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ml.retraining.tables import QUEUE
from ml.states import QueueKind, QueueState

if TYPE_CHECKING:
    import duckdb

    from ml.retraining.policy import RetrainingPolicy
    from orchestration.settings import Settings


def retraining_policy(settings: Settings) -> RetrainingPolicy:
    """Limits from the settings."""
    from ml.retraining.policy import RetrainingPolicy

    return RetrainingPolicy(
        enabled=settings.acting,
        daily_budget=settings.retrain_daily_budget,
        cap=settings.retrain_cap,
        cooldown_h=settings.retrain_cooldown_h,
    )


@dataclass(frozen=True)
class Waiting:
    """A collection of the queue."""

    collection: str
    attempts: int
    last_trained: datetime | None


@dataclass(frozen=True)
class Memory:
    """What was requested: collection to the `as_of` of its request."""

    requested: Mapping[str, datetime]

    @classmethod
    def of_cursor(cls, cursor: str | None) -> Memory | None:
        """The memory that a cursor holds; None without a readable one: then the runs are read instead."""
        try:
            stored = json.loads(cursor or "")["requested"]
            return cls({str(name): datetime.fromisoformat(at) for name, at in stored.items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def cursor(self) -> str:
        """The memory as a cursor."""
        times = {name: at.isoformat() for name, at in sorted(self.requested.items())}
        return json.dumps({"requested": times})

    def with_requests(self, keys: Iterable[str], as_of: datetime) -> Memory:
        """The memory after a request."""
        return Memory({**self.requested, **dict.fromkeys(keys, as_of)})

    def without_what_is_over(self, as_of: datetime, cooldown_h: float) -> Memory:
        """Without requests that neither the cooldown nor the day's budget still counts."""
        kept = min(as_of - timedelta(hours=cooldown_h), _midnight(as_of))
        return Memory({name: at for name, at in self.requested.items() if at >= kept})


@dataclass(frozen=True)
class Choice:
    """What to request.

    Attributes:
        keys: Collections to train, most valuable first; empty for none.
        why: Why so many, in a sentence.
        run_key: Deterministic name of the request.
    """

    keys: tuple[str, ...]
    why: str
    run_key: str = ""


def read_waiting(con: duckdb.DuckDBPyConnection, as_of: datetime) -> tuple[list[Waiting], set[str]]:
    """Collections that wait for a training, most valuable first, and those launched on this day.

    One whose sales are set aside has no features to learn from: it stays in the queue and costs no budget.
    """
    from ml.features.tables import SALE_FEATURES
    from ml.tables.set_aside import collections_aside

    rows = con.execute(
        f"select collection, attempts, last_trained from {QUEUE}"
        f" where state = '{QueueState.QUEUED}' and kind = '{QueueKind.RETRAIN}'"
        f" and collection not in ({collections_aside(SALE_FEATURES)})"
        " order by priority desc, collection"
    ).fetchall()
    today = con.execute(
        f"select collection from {QUEUE} where launched_at >= $1", [_midnight(as_of)]
    ).fetchall()
    return [Waiting(*row) for row in rows], {row[0] for row in today}


def choose(
    waiting: Sequence[Waiting],
    launched_today: set[str],
    memory: Memory,
    as_of: datetime,
    policy: RetrainingPolicy,
) -> Choice:
    """The collections of the next run.

    Args:
        waiting: The queue, most valuable first.
        launched_today: Collections that a run has begun to train on this day.
        memory: What was requested.
        as_of: Nothing known at or after it is used.
        policy: Cap, cooldown and budget.
    """
    cooling = as_of - timedelta(hours=policy.cooldown_h)
    ready = [
        w
        for w in waiting
        if not (w.collection in memory.requested and memory.requested[w.collection] > cooling)
        and (w.last_trained is None or w.last_trained <= cooling)
    ]
    spent = launched_today | {name for name, at in memory.requested.items() if at >= _midnight(as_of)}
    left = max(0, policy.daily_budget - len(spent))
    chosen = ready[: min(policy.cap, left)]
    if not chosen:
        if not waiting:
            return Choice((), "nothing waits for a training")
        if not ready:
            return Choice((), f"{len(waiting)} wait, all requested or trained within {policy.cooldown_h:g} h")
        return Choice((), f"{len(ready)} wait, the budget of {policy.daily_budget} for this day is spent")
    shape = [f"{as_of:%Y-%m-%d}", *sorted(f"{w.collection}#{w.attempts}" for w in chosen)]
    digest = hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:20]
    why = f"{len(chosen)} of {len(ready)} that wait, {left} left of the day's {policy.daily_budget}"
    return Choice(tuple(w.collection for w in chosen), why, f"retrain-{as_of:%Y-%m-%d}-{digest}")


def _midnight(as_of: datetime) -> datetime:
    return as_of.replace(hour=0, minute=0, second=0, microsecond=0)
