"""Histories in which drift detection is measured.

Here: simulated markets whose sales, marts, index and features the production code has made, and feature frames with
shifts of known size. Not here: the passes over them (`benchmarks.drift`).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb

from ml.drift.subjects import SUBJECTS, subject_rows

START = datetime(2025, 1, 1)  # noqa: DTZ001 - the lake's times are naive UTC
SHIFTED_DAY, FRAME_DAYS = 240, 360


def simulated_rows(folder: Path, collections: int, days: int, seed: int, faults: str = "") -> str:
    """Make a simulated market up to its features in a folder; returns SQL that reads its monitored values."""
    from orchestration.definitions import open_location
    from orchestration.home import open_instance, prepare_home
    from orchestration.runs.job_runner import JobRunner
    from orchestration.runs.main_job import ingest_and_build
    from orchestration.settings import load_settings

    target = folder / f"rows-{collections}-{days}-{seed}-{faults.replace('@', '-') or 'quiet'}.parquet"
    if not target.exists():
        home = target.with_suffix("")
        settings = load_settings(home=home, collections=collections, days=days, seed=seed, faults=faults)
        prepare_home(settings)
        with open_instance(settings) as instance:
            location = open_location(settings)
            ingest_and_build(JobRunner(location, instance))
        with location.assay.lake.read() as con:
            con.execute(f"copy ({subject_rows()}) to '{target}' (format parquet)")
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
    neighbours), plus independent heavy-tailed noise of the same size, so that blocks of sales differ as real ones do.
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
