"""The training stage against a bare loop of the same numeric work, on the same data and cores.

Bare means: arrays already in memory, nothing read, judged, registered or written. For the index the compiled replay
of every collection from its first sale; for the pooled models every fit of every fold; for the local models the same
fits on the same rows, in as many processes as production uses.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from benchmarks.runs import Run
from lake.config import LakeConfig
from lake.connection import Lake
from lake.tables import create_missing
from ml.compute.backend import ThreadBackend
from ml.compute.tasks import Raised, one_in_a_process

if TYPE_CHECKING:
    from benchmarks.__main__ import Figures
    from ml.models.local import LocalInputs

THREADS = 2


def measure_training(figures: Figures, home: Path, run: Run) -> None:
    """Stages index, pooled prior and price models of a finished cold run, against their bare work."""
    lake = Lake(LakeConfig(home=home))
    with lake.read() as con:
        bare = {"index": bare_index(lake), "pooled prior": bare_pooled(con), "price models": bare_local(con)}
    for stage, seconds in bare.items():
        figures.add(f"    bare {stage} / stage", f"{seconds:.1f} / {run.stage(stage):.1f} s")
    ratio = run.stage(*bare) / sum(bare.values())
    figures.add("  training stage against the bare loop of its fits", f"{ratio:.2f} ×", "≤ 1.15 ×")


def measure_worklist(figures: Figures, home: Path, n: int, when: str = "") -> None:
    """`n` scattered collections retrained in one run, against their bare fits; `when` is printed."""
    lake = Lake(LakeConfig(home=home))
    with lake.read() as con:
        known = [r[0] for r in con.execute("select collection from ops.champions order by 1").fetchall()]
        keys = sorted(random.Random(1).sample(known, min(n, len(known))))
        bare = bare_local(con, keys)
    code = (
        "import sys; from orchestration.cli.app import app; "
        "sys.argv = ['assay', 'retrain', '--home', sys.argv[1], '--reason', 'benchmark', *sys.argv[2:]]; app()"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, str(home), *keys], capture_output=True, text=True, check=False
    )
    elapsed = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    stage = float(done.stdout.strip().splitlines()[-1].split()[-2])
    name = " ".join(filter(None, ("worklist of", str(len(keys)), "collections", when)))
    figures.add(f"  {name}: stage / bare fits", f"{stage:.1f} / {bare:.1f} s")
    figures.add("    ratio", f"{stage / bare:.2f} ×", "≤ 1.25 ×")
    figures.add("    with the start of the process", f"{elapsed:.1f} s")


def bare_index(lake: Lake) -> float:
    """Seconds of the compiled replay over all collections from their first sale, arrays already in memory."""
    # The parts of update_index without its writing.
    from ml.features import tables as features
    from ml.index.chunks import number_chunks, read_chunks
    from ml.index.params import DEFAULT_PARAMS
    from ml.index.parts import computed
    from ml.index.tables import plan_work
    from ml.index.update import CHUNK_ENTRIES

    seconds = 0.0
    with lake.read() as con:
        con.execute("attach ':memory:' as bare")
        con.execute("use bare")
        con.execute("create schema marts")
        for table in ("fct_sales", "dim_tokens"):
            con.execute(f"create view marts.{table} as select * from lake.marts.{table}")
        create_missing(con, features.TABLES)
        plan_work(con, DEFAULT_PARAMS)
        chunks = number_chunks(con, CHUNK_ENTRIES)
        for chunk in read_chunks(con, chunks, DEFAULT_PARAMS):
            started = time.perf_counter()
            list(computed([replace(chunk, number=0)], DEFAULT_PARAMS, ThreadBackend(THREADS)))
            seconds += time.perf_counter() - started
    return seconds


def bare_pooled(con: duckdb.DuckDBPyConnection) -> float:
    """Seconds of the prior and scale fits of every fold of every market."""
    from ml.models.frames import FeatureSet, read_sales
    from ml.models.markets import split_markets
    from ml.models.prior import PriorConfig, ScaleConfig, fit_prior, fit_scale

    frame = read_sales(con, FeatureSet.declared().names)
    folds = con.execute(
        "select market, sales, scale_sha is not null from ops.prior_folds order by all"
    ).fetchall()
    seconds = 0.0
    for market, mask in split_markets(frame).items():
        sales = frame.rows(mask)
        for rows, with_scale in [(n, scale) for name, n, scale in folds if name == market]:
            seen = slice(0, rows)
            features, gap = sales.features[seen], sales.gap_log[seen]
            started = time.perf_counter()
            fit_prior(features, gap, sales.collection[seen], PriorConfig(threads=THREADS))
            if with_scale:
                premium = sales.base_log[seen] - sales.floor_log[seen]
                fit_scale(features, premium, gap, ScaleConfig(threads=THREADS))
            seconds += time.perf_counter() - started
    return seconds


def bare_local(con: duckdb.DuckDBPyConnection, keys: Sequence[str] | None = None) -> float:
    """Seconds of the local fits of the collections, largest first, in as many processes as production uses.

    As production: one fit that chooses the weight, and a second on everything where the first earned its place. What is
    counted is the time inside the fits, while as many run as there are processes, divided by their number.
    """
    from ml.models.collection_reader import read_collections
    from ml.models.frames import FeatureSet
    from ml.training.candidate import CandidateConfig

    config = CandidateConfig()
    sizes = con.execute(
        "select collection, count(*) from predictions.prior_walk_forward group by 1 order by 2 desc, 1"
    ).fetchall()
    chosen = [(key, n) for key, n in sizes if keys is None or key in set(keys)]
    own = {
        r[0]
        for r in con.execute("select collection from ops.champions where local_sha is not null").fetchall()
    }
    tasks: list[tuple[LocalInputs, np.ndarray]] = []
    features = FeatureSet.declared()
    for sales in read_collections(con, [k for k, _ in chosen], [n for _, n in chosen], features, 250_000):
        residual = sales.target_log - sales.prediction_log
        learnable = np.flatnonzero(sales.fold > 0)
        if len(learnable) < config.min_sales:
            continue
        earlier = learnable[: round(len(learnable) * (1 - config.weight_share - config.gate_share))]
        if len(earlier) >= config.min_sales // 2:
            tasks.append((sales.inputs.rows(earlier), residual[earlier]))
        if sales.collection in own:
            tasks.append((sales.inputs.rows(learnable), residual[learnable]))
    seconds = 0.0
    for _, result in ThreadBackend(THREADS).run(_seconds_of_fit, tasks):
        if isinstance(result, Raised):
            raise result.error
        seconds += result
    return seconds / THREADS


@one_in_a_process
def _seconds_of_fit(task: tuple[LocalInputs, np.ndarray]) -> float:
    from ml.models.local import LocalConfig, fit_local

    inputs, residual = task
    began = time.perf_counter()
    fit_local(inputs, residual, LocalConfig(), time.monotonic() + 3600)
    return time.perf_counter() - began
