"""Cost and quality of drift detection: false alarms on an undrifted market, delay after an injected drift.

Here: replaying passes through a history, and what they found. Not here: the histories (`benchmarks.drift_data`) and the
detection (`ml.drift`). Thresholds were chosen on the seeds TUNING; figures are reported on REPORTED.

    python -m benchmarks --only drift
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from benchmarks.drift_data import FRAME_DAYS, SHIFTED_DAY, START, frame_rows, simulated_rows
from ml.drift.config import DEFAULT_DRIFT, DriftConfig
from ml.drift.scoring import FRESH, is_market, score_rows
from ml.drift.statement import windows_sql
from ml.drift.subjects import SUBJECTS
from ml.drift.tables import SCORED_WINDOWS, STATUS, store

TUNING, REPORTED = (101, 102), (201, 202)


@dataclass(frozen=True)
class Flagged:
    """A collection that was found drifted: when (a pass), by what, for how many sales after its window began."""

    collection: str
    at: datetime
    feature: str
    kind: str


@dataclass(frozen=True)
class Replay:
    """Passes through a history.

    Attributes:
        flagged: every change of a collection to `drifted`.
        weeks: collection-weeks watched: collections with a tested window, summed over the passes, in weeks.
        collections: collections that were ever tested.
    """

    flagged: list[Flagged]
    weeks: float
    collections: int

    @property
    def share_a_week(self) -> float:
        """Collections newly called drifted per collection watched and week."""
        return len(self.flagged) / self.weeks if self.weeks else 0.0


def replay(
    con: duckdb.DuckDBPyConnection,
    rows: str,
    first: datetime,
    last: datetime,
    step_days: int = 7,
    config: DriftConfig = DEFAULT_DRIFT,
    markets: bool = False,
) -> Replay:
    """Monitoring passes every few days from `first` to `last`, each seeing only what was known before it."""
    con.execute("create schema if not exists monitoring")
    con.execute(f"drop table if exists {STATUS}")
    con.execute("drop table if exists monitoring.drift_scores")
    flagged: list[Flagged] = []
    drifted: set[str] = set()
    watched: set[str] = set()
    passes = 0.0
    now = first
    while now <= last:
        con.execute(
            f"create or replace temp table due as select * from ({windows_sql(rows, config)})"
            f" anti join ({SCORED_WINDOWS}) as scored using (collection, window_sales, number)",
            {"as_of": now},
        )
        if not markets:
            con.execute("delete from due where is_market")
        score_rows(con, rows, "due", now, config)
        store(con, FRESH, now, config)
        found = con.execute(
            f"select collection, state, worst_feature, worst_kind from {STATUS} where tested > 0"
        ).fetchall()
        now_drifted = {name for name, state, _, _ in found if state == "drifted"}
        flagged += [
            Flagged(name, now, feature, kind)
            for name, state, feature, kind in found
            if state == "drifted" and name not in drifted
        ]
        drifted = now_drifted
        measured = {name for name, *_ in found if markets or not is_market(name)}
        watched |= measured
        passes += len(measured)
        now += timedelta(days=step_days)
    return Replay(flagged, passes * step_days / 7, len(watched))


@dataclass(frozen=True)
class Detection:
    """How an injected drift was detected.

    Attributes:
        able: collections that sold enough to detect it: two windows of sales after it, and a tested window before.
        found: those of them called drifted by the end.
        days: median delay in days among the found, to the pass that found it; None without any.
        sales: the same in sales of the collection.
    """

    able: int
    found: int
    days: float | None
    sales: float | None


def detection(
    con: duckdb.DuckDBPyConnection, rows: str, injected: datetime, replayed: Replay, least_sales: int = 80
) -> Detection:
    """Delay of the first flag after the injection, over collections that sold enough to show it.

    Args:
        con: connection of the replay.
        rows: what was replayed.
        injected: when the drift began.
        replayed: passes from before the injection to the end.
        least_sales: sales after the injection, and 160 before it, that make a collection able.
    """
    first: dict[str, datetime] = {}
    for flag in replayed.flagged:
        if flag.at > injected:
            first.setdefault(flag.collection, flag.at)
    con.execute("create or replace temp table flagged (collection varchar, found_at timestamp)")
    if first:
        con.executemany("insert into flagged values (?, ?)", list(first.items()))
    measured = con.execute(
        f"""
        with after as (
            select
                collection, any_value(found_at) as found_at,
                count(*) filter (known_at >= $injected and known_at < found_at) as sales
            from ({rows})
            left join flagged using (collection)
            group by collection
            having count(*) filter (known_at >= $injected) >= $least
                and count(*) filter (known_at < $injected) >= 160
        )
        select
            count(*), count(found_at), median(epoch(found_at - $injected::timestamp)) / 86400,
            median(sales) filter (found_at is not null)
        from after
        """,
        {"injected": injected, "least": least_sales},
    ).fetchone()
    assert measured is not None
    return Detection(*measured)


def size_cost(con: duckdb.DuckDBPyConnection, collections: int) -> tuple[int, float, float]:
    """Rows, elapsed seconds and processor seconds of the statement on independent values of that many collections."""
    values = ", ".join("(random() + random() - 1)::float" for _ in SUBJECTS)
    con.execute("select setseed(0.5)")
    con.execute(
        f"""
        create or replace temp table sized as
        with drawn as (
            select
                'c' || lpad(i::varchar, 5, '0') as collection,
                exp(5.4 + 1.3 * sqrt(-2 * ln(random())) * cos(6.2832 * random()))::integer as n
            from range({collections}) as t (i)
        ),
        sizes as (select collection, greatest(30, least(20000, n)) as n from drawn)
        select
            collection, 'market' as market, seq, [{values}] as readings,
            timestamp '{START}' + to_seconds((365 * 86400.0 * seq / n)::bigint) as known_at
        from sizes, lateral unnest(range(1, n + 1)) as t (seq)
        """
    )
    counted = con.execute("select count(*) from sized").fetchone()
    now = START + timedelta(days=366)
    started, cpu = time.perf_counter(), time.process_time()
    con.execute(
        f"create or replace temp table due as {windows_sql('from sized', DEFAULT_DRIFT)}", {"as_of": now}
    )
    score_rows(con, "from sized", "due", now, DEFAULT_DRIFT)
    spent = time.perf_counter() - started, time.process_time() - cpu
    con.execute("drop table sized")
    return (counted[0] if counted else 0), *spent


#: What is injected into feature frames: name, columns, shift in standard deviations.
INJECTED = (
    ("covariate: three token features by 2 sd", ("a_token", "rarity_pct", "own_surprise"), 2.0),
    ("prior: target by 2 sd", ("target_gap",), 2.0),
    ("concept: error by 1.5 sd", ("error",), 1.5),
    ("concept: error by 1 sd", ("error",), 1.0),
)


def measure(scratch: Path, collections: int = 40, days: int = 300) -> Iterator[tuple[str, str, str]]:
    """Figures with their n, one at a time: what, found, aim.

    Args:
        scratch: folder for the simulated market; one that is there is used again.
        collections: of the simulated market and of each frame.
        days: of the simulated market; watched from day 100 on.
    """
    con = duckdb.connect(config={"threads": 2, "memory_limit": "2GB"})
    for seed in REPORTED[:1]:
        rows = simulated_rows(scratch, collections, days, seed)
        con.execute(f"create or replace temp table quiet as {rows}")
        quiet = replay(con, "from quiet", START + timedelta(days=100), START + timedelta(days=days))
        yield (
            f"undrifted simulated market {seed}: {len(quiet.flagged)} flags in {quiet.weeks:.0f} collection-weeks",
            f"{100 * quiet.share_a_week:.2f} % a week",
            "≤ 1 %",
        )
    injected = START + timedelta(days=SHIFTED_DAY)
    for name, moved, shift in INJECTED:
        rows = frame_rows(con, "frame", collections, REPORTED[0], moved, shift)
        seen = replay(con, rows, injected - timedelta(days=7), START + timedelta(days=FRAME_DAYS))
        measured = detection(con, rows, injected, seen)
        yield (
            f"{name}: found in {measured.found} of {measured.able} collections",
            f"{measured.days:.0f} days, {measured.sales:.0f} sales"
            if measured.days is not None
            else "not found",
            "",
        )
    rows_at_size, elapsed, cpu = size_cost(con, collections * 10)
    yield (
        f"statement on {collections * 10} collections, {rows_at_size:,} sales, {len(SUBJECTS)} distributions each",
        f"{elapsed:.1f} s ({cpu:.1f} s of processor)",
        "< 20 s at 3,000",
    )
