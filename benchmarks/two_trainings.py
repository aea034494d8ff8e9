"""What happens when threads of one process train CatBoost models at the same time: the control experiment of ADR 71.

    python -m benchmarks.two_trainings --seconds 240

A child process trains small models on four threads until the time is over or it has ended: once each thread calls
CatBoost's `fit`, once `ml.models.fitting.fit`. Prints one JSON document; an exit code of -11 is a segmentation fault.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.machine import describe_machine

WAYS = ("catboost", "one at a time")


def main(
    seconds: Annotated[float, typer.Option(help="Seconds of each way.")] = 240.0,
    threads: Annotated[int, typer.Option(help="Threads that train.")] = 4,
    way: Annotated[str, typer.Option(help="The child process: one way.")] = "",
) -> None:
    """Both ways, one after the other."""
    if way:
        train(way, time.monotonic() + seconds, threads)
        return
    found = {name: measure(name, seconds, threads) for name in WAYS}
    print(
        json.dumps(
            {"seconds": seconds, "threads": threads, **found, "machine": describe_machine()}, indent=2
        )
    )


def measure(way: str, seconds: float, threads: int) -> dict[str, Any]:
    """How the child process has ended, after how many seconds and fits."""
    command = [sys.executable, "-m", "benchmarks.two_trainings", "--way", way]
    began = time.monotonic()
    with subprocess.Popen(
        [*command, "--seconds", str(seconds), "--threads", str(threads)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        fits = len(child.stdout.read())
    return {"exit_code": child.returncode, "after_s": round(time.monotonic() - began, 1), "fits": fits}


def train(way: str, end: float, threads: int) -> None:
    """The child process: a character for each fit."""
    from catboost import CatBoostRegressor, FeaturesData, Pool

    from ml.models.fitting import fit

    class Watch:
        def after_iteration(self, info: Any) -> bool:  # noqa: ARG002 - CatBoost's callback signature
            return True

    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(200, 20)).astype(np.float32)
    traits = np.array([[b"%d" % value for value in row] for row in rng.integers(0, 9, (200, 5))], dtype=object)

    def work() -> None:
        while time.monotonic() < end:
            model = CatBoostRegressor(
                loss_function="MAE",
                iterations=12,
                depth=4,
                thread_count=1,
                verbose=False,
                allow_writing_files=False,
            )
            pool = Pool(FeaturesData(numbers, traits), numbers[:, 0])
            if way == "catboost":
                model.fit(pool, callbacks=[Watch()])
            else:
                fit(model, pool, [Watch()])
            sys.stdout.write(".")
            sys.stdout.flush()

    working = [threading.Thread(target=work) for _ in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()


if __name__ == "__main__":
    typer.run(main)
