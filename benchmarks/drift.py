"""What drift detection costs and what it is worth: false alarms on an undrifted market, delay after an injected drift.

Here: replaying passes through the history of simulated markets whose sales, marts, index and features the production
code has made, and of feature frames with shifts of known size. Not here: the detection (`ml.drift`). Thresholds were
chosen on the seeds TUNING; figures are reported on REPORTED.

    python -m benchmarks --only drift
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from ml.drift.config import DEFAULT_DRIFT, DriftConfig
from ml.drift.scoring import FRESH, is_market, score_rows
from ml.drift.statement import windows_sql
from ml.drift.subjects import SUBJECTS, subject_rows
from ml.drift.tables import STATUS, scored_windows, store

TUNING, REPORTED = (101, 102), (201, 202)
START = datetime(2025, 1, 1)  # noqa: DTZ001 - the lake's instants are naive UTC
SHIFTED_DAY, FRAME_DAYS = 240, 360


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
            f" anti join ({scored_windows(con)}) as scored using (collection, window_sales, number)",
            {"now": now},
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
        told = {name for name, *_ in found if markets or not is_market(name)}
        watched |= told
        passes += len(told)
        now += timedelta(days=step_days)
    return Replay(flagged, passes * step_days / 7, len(watched))


def simulated_rows(folder: Path, collections: int, days: int, seed: int, faults: str = "") -> str:
    """Make a simulated market up to its features in a folder; returns SQL that reads its watched values."""
    from orchestration.home import open_instance, prepare_home
    from orchestration.pipeline import build_until
    from orchestration.resources import Assay
    from orchestration.settings import load_settings

    target = folder / f"rows-{collections}-{days}-{seed}-{faults.replace('@', '-') or 'quiet'}.parquet"
    if not target.exists():
        home = target.with_suffix("")
        settings = load_settings(home=home, collections=collections, days=days, seed=seed, faults=faults)
        prepare_home(settings)
        with open_instance(settings) as instance:
            build_until(settings, instance, Assay(settings).horizon)
        with Assay(settings).lake.read() as con:
            con.execute(f"copy ({subject_rows(con)}) to '{target}' (format parquet)")
    return f"from read_parquet('{target}')"


def frame_rows(
    con: duckdb.DuckDBPyConnection,
    name: str,
    collections: int,
    seed: int,
    moved: tuple[str, ...] = (),
    shift_sd: float = 0.0,
    memory: float = 0.5,
    sales: tuple[int, int] = (150, 3000),
) -> str:
    """A temp table of values that are serially dependent, moved by `shift_sd` from SHIFTED_DAY on in all collections.

    Each value is a moving average over the last sales with geometric weights (correlation `memory` between
    neighbours), plus independent noise of the same size, heavy-tailed; so that blocks of sales differ as they do.
    """
    import numpy as np
    import pyarrow as pa
    from scipy.signal import lfilter

    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.uniform(np.log(sales[0]), np.log(sales[1]), collections)).astype(int)
    n = int(sizes.sum())
    seq = np.concatenate([np.arange(1, size + 1) for size in sizes])
    owner = np.repeat(np.arange(collections), sizes)
    day = np.concatenate([np.sort(rng.uniform(0, FRAME_DAYS, size)) for size in sizes])
    readings = rng.standard_t(5, (n, len(SUBJECTS))).astype(np.float32)
    slow = lfilter([np.sqrt(1 - memory**2)], [1, -memory], rng.standard_normal((n, len(SUBJECTS))), axis=0)
    readings += slow.astype(np.float32)
    spread = float(np.std(readings[:, 0]))
    for position, subject in enumerate(SUBJECTS):
        if subject.name in moved:
            readings[day >= SHIFTED_DAY, position] += np.float32(shift_sd * spread)
    table = pa.table(
        {
            "collection": pa.array([f"c{i:05d}" for i in range(collections)]).take(pa.array(owner)),
            "market": pa.array(["frames"]).take(pa.array(np.zeros(n, dtype=np.int64))),
            "seq": seq,
            "known_at": pa.array(
                np.datetime64(START, "us") + (day * 86400e6).astype("timedelta64[us]"), pa.timestamp("us")
            ),
            "readings": pa.FixedSizeListArray.from_arrays(pa.array(readings.ravel()), len(SUBJECTS)).cast(
                pa.list_(pa.float32())
            ),
        }
    )
    con.register("made_frame", table)
    con.execute(f"create or replace temp table {name} as select * from made_frame")
    con.unregister("made_frame")
    return f"from {name}"
