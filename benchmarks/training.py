"""The training stage against a bare loop of the same numeric work, on the same data and cores.

Bare means: arrays already in memory, nothing read, judged, registered or written. For the index the compiled replay
of every collection from its first sale; for the pooled models every fit of every fold; for the local models the same
fits on the same rows, in as many threads as production uses.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from benchmarks.runs import Run
from lake.config import LakeConfig
from lake.connection import Lake

if TYPE_CHECKING:
    from benchmarks.__main__ import Figures

THREADS = 2


def measure_training(figures: Figures, home: Path, run: Run) -> None:
    """Stages index, pooled prior and price models of a finished cold run, against their bare work."""
    lake = Lake(LakeConfig(home=home))
    with lake.read() as con:
        bare = {"index": bare_index(con), "pooled prior": bare_pooled(con), "price models": bare_local(con)}
    for stage, seconds in bare.items():
        figures.add(f"    bare {stage} / stage", f"{seconds:.1f} / {run.stage(stage):.1f} s")
    ratio = run.stage(*bare) / sum(bare.values())
    figures.add("  training stage against the bare loop of its fits", f"{ratio:.2f} ×", "≤ 1.15 ×")


def measure_worklist(figures: Figures, home: Path, n: int) -> None:
    """`n` scattered collections retrained in one run, against their bare fits."""
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
    wall = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    stage = float(done.stdout.strip().splitlines()[-1].split()[-2])
    figures.add(f"  worklist of {len(keys)} collections: stage / bare fits", f"{stage:.1f} / {bare:.1f} s")
    figures.add("    ratio", f"{stage / bare:.2f} ×", "≤ 1.25 ×")
    figures.add("    with the start of the process", f"{wall:.1f} s")


def bare_index(con: duckdb.DuckDBPyConnection) -> float:
    """Seconds of the compiled replay over all collections from their first sale."""
    from ml.index.update import replay_in_memory

    return replay_in_memory(con, THREADS)


def bare_pooled(con: duckdb.DuckDBPyConnection) -> float:
    """Seconds of the prior and scale fits of every fold."""
    from ml.models.frames import FeatureSet, read_sales
    from ml.models.prior import PriorConfig, ScaleConfig, TooFewRowsError, fit_prior, fit_scale

    frame = read_sales(con, FeatureSet.declared().names)
    folds = con.execute("select sales, scale_sha is not null from ops.prior_folds order by fold").fetchall()
    premium = frame.base_log - frame.floor_log
    seconds = 0.0
    for rows, with_scale in folds:
        seen = slice(0, rows)
        started = time.perf_counter()
        fit_prior(
            frame.features[seen], frame.gap_log[seen], frame.collection[seen], PriorConfig(threads=THREADS)
        )
        if with_scale:
            try:
                fit_scale(
                    frame.features[seen], premium[seen], frame.gap_log[seen], ScaleConfig(threads=THREADS)
                )
            except TooFewRowsError:
                continue
        seconds += time.perf_counter() - started
    return seconds


def bare_local(con: duckdb.DuckDBPyConnection, keys: Sequence[str] | None = None) -> float:
    """Seconds of the local fits of the collections, largest first, in threads.

    As production: one fit that chooses the weight, and a second on everything where the first earned its place.
    """
    from ml.models.candidate import CandidateConfig
    from ml.models.collection_reader import read_collections
    from ml.models.frames import FeatureSet
    from ml.models.local import LocalInputs, fit_local

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
    deadline = time.monotonic() + 3600
    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda task: fit_local(task[0], task[1], config.local, deadline), tasks))
    return time.perf_counter() - started
