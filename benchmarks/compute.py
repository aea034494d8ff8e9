"""Training on a Ray cluster of this machine against threads: the same collections, the same number of workers.

    python -m benchmarks.compute HOME

Each way trains every collection of a copy of a finished home again. The cluster is started before the clock, as one of
several machines would be; the last one loses a machine when a third of the collections are done.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import describe_machine

if TYPE_CHECKING:
    from ml.compute.backend import Backend
    from ml.training.collections import TrainingOutcome

WORKERS = 2


def trained(
    home: Path, backend: Backend, on_result: Callable[[TrainingOutcome], None] | None = None
) -> tuple[float, dict[str, Any]]:
    """Seconds to train every collection of a copy of the home, and (booster, weight) by collection."""
    from ml.index.params import DEFAULT_PARAMS
    from ml.training.collections import train_collections
    from orchestration.models.assets import training_config
    from orchestration.resources import Assay
    from orchestration.settings import load_settings

    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        copy = Path(scratch) / "home"
        shutil.copytree(home, copy, copy_function=_linked)
        assay = Assay(load_settings(home=copy))
        with assay.lake.read() as con:
            keys = [row[0] for row in con.execute("select collection from marts.dim_collections").fetchall()]
            began = time.perf_counter()
            report = train_collections(
                con,
                keys,
                assay.registry,
                run_id="benchmark",
                snapshot_id=assay.lake.snapshot_id(),
                index_fingerprint=DEFAULT_PARAMS.fingerprint(),
                config=replace(training_config(assay), refit_all=True),
                backend=backend,
                on_result=on_result,
            )
            seconds = time.perf_counter() - began
    assert not report.failed, report.failed[0].reason
    return seconds, {
        one.collection: one.candidate and (one.candidate.local_sha, one.candidate.weight)
        for one in report.outcomes
    }


def _linked(source: str, target: str) -> str:
    """A copy; of a file of the lake, which nobody changes, a second name."""
    if source.endswith(".parquet"):
        os.link(source, target)
        return target
    return str(shutil.copy2(source, target))


def main(home: Path) -> None:
    """Print the seconds of each way and whether all found the same."""
    import ray
    from ray.cluster_utils import Cluster

    from ml.compute.backend import ThreadBackend
    from ml.compute.ray_backend import RayBackend

    chunk = 5
    threads, expected = trained(home, ThreadBackend(WORKERS))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    backend = RayBackend(cluster.address, WORKERS, chunk)
    trained(home, backend)  # workers import Assay with their first chunk
    whole, found = trained(home, backend)
    lost_node = cluster.add_node(num_cpus=1)
    done = 0

    def lose(_: object) -> None:
        nonlocal done
        done += 1
        if done == len(expected) // 3:
            cluster.remove_node(lost_node, allow_graceful=False)

    broken, after = trained(home, backend, lose)
    ray.shutdown()
    cluster.shutdown()
    report = {
        "collections": len(expected),
        "workers": WORKERS,
        "tasks_in_a_chunk": chunk,
        "threads_s": round(threads, 2),
        "ray_s": round(whole, 2),
        "ray_ratio": round(whole / threads, 2),
        "machine_lost_s": round(broken, 2),
        "machine_lost_ratio": round(broken / whole, 2),
        "machine_lost_costs_s": round(broken - whole, 2),
        "same_boosters": found == expected and after == expected,
        "machine": describe_machine(),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
