"""What watching costs: one monitoring pass over a finished home, and the ticks of the sensors that act.

Here: the measurement, in a process of its own so that its memory is its own. Not here: making the home
(`benchmarks.runs`).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.__main__ import Figures

PARTITIONS = 3000


def measure_monitoring(figures: Figures, home: Path) -> None:
    """The first pass (it enters all history into the ledger), the next one, and both sensors' ticks.

    Args:
        figures: Where the rows go.
        home: A finished home; it is changed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.monitoring", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the pass over {home} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    measured = json.loads(done.stdout.splitlines()[-1])
    size = f"{measured['collections']:,} collections, {measured['ledger']:,} sales, {measured['tokens']:,} tokens"
    for name, aim in (("first", ""), ("next", "< 60 s")):
        figures.add(f"monitoring pass, {name} ({size})", f"{sum(measured[name].values()):.1f} s", aim)
        for stage, seconds in measured[name].items():
            figures.add(f"    {stage}", f"{seconds:.1f} s")
    figures.add("  peak memory", f"{measured['peak_mb']:.0f} MB", "< 4096 MB")
    for sensor, seconds in measured["ticks"].items():
        figures.add(
            f"tick of {sensor}, {PARTITIONS:,} partitions and rows in the queue", f"{seconds:.2f} s", "< 5 s"
        )
    figures.add("load of the machine meanwhile (1 min)", f"{measured['load']:.1f}")


def measure_here(home: Path) -> dict[str, Any]:
    """Two passes and a tick of each sensor in this process."""
    import os

    from ml.monitoring.online_error import ALL
    from orchestration.definitions import open_location
    from orchestration.home import open_instance, prepare_home
    from orchestration.runs.main_job import run_job
    from orchestration.settings import load_settings

    settings = load_settings(home=home)
    prepare_home(settings)
    location = open_location(settings)
    assay = location.assay
    with open_instance(settings) as instance:
        passes = [run_job(location, instance, "monitor") for _ in range(2)]
        ticks = _ticks(location)
    with assay.lake.read() as con:
        counts = con.execute(
            """
            select
                (select count(distinct collection) from monitoring.online_metrics where collection <> $1),
                (select count(*) from monitoring.estimate_ledger),
                (select count(*) from predictions.token_estimates)
            """,
            [ALL],
        ).fetchone()
    assert counts is not None
    return {
        "first": passes[0],
        "next": passes[1],
        "ticks": ticks,
        **dict(zip(("collections", "ledger", "tokens"), map(int, counts), strict=True)),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "load": os.getloadavg()[0],
    }


def _ticks(location: Any) -> dict[str, float]:
    """Seconds of one tick of each sensor that acts or discovers, with everything waiting."""
    import dagster as dg

    from ml.retraining.tables import QUEUE
    from orchestration.partitions import collections

    assay, repository = location.assay, location.definitions.get_repository_def()
    with assay.lake.write("a queue as long as can be") as con:
        con.execute(f"delete from {QUEUE}")
        con.execute(
            f"insert into {QUEUE} by name select 'made-up-' || i as collection, 'retrain' as kind, 1.0 as priority,"
            f" 0 as attempts, 'queued' as state from range({PARTITIONS}) as r (i)"
        )
    seconds = {}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(collections.name), [f"made-up-{i}" for i in range(PARTITIONS)])
        for name in ("retrain_drifted", "roll_back_worse", "discover_collections"):
            with dg.build_sensor_context(
                instance=instance, repository_def=repository, resources={"assay": assay}
            ) as context:
                began = time.perf_counter()
                repository.get_sensor_def(name).evaluate_tick(context)
                seconds[name] = time.perf_counter() - began
    return seconds


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(measure_here(Path(sys.argv[1]))) + "\n")
