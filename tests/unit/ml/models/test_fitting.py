"""CatBoost's training runs once at a time in a process, whoever asks for it."""

from __future__ import annotations

import ast
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from catboost import CatBoostRegressor, Pool

from ml.models.fitting import fit

ROOMS = ("ml", "orchestration", "serving", "sources", "lake")


class Watch:
    """CatBoost's callback: slow, and it notes when it was called."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def after_iteration(self, info: Any) -> bool:  # noqa: ARG002 - CatBoost's callback signature
        self.times.append(time.monotonic())
        time.sleep(0.01)
        return True


def test_threads_do_not_train_at_once() -> None:
    rows = np.arange(60.0).reshape(20, 3)
    watches = [Watch() for _ in range(3)]

    def train(watch: Watch) -> None:
        model = CatBoostRegressor(iterations=10, verbose=False, allow_writing_files=False, thread_count=1)
        fit(model, Pool(rows, rows[:, 0]), [watch])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(train, watches))
    spans = sorted((watch.times[0], watch.times[-1]) for watch in watches)
    assert [len(watch.times) for watch in watches] == [10, 10, 10]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))


def test_nothing_else_calls_catboosts_fit() -> None:
    root = Path(__file__).parents[4]
    found = [
        f"{path.relative_to(root)}:{node.lineno}"
        for room in ROOMS
        for path in (root / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fit"
    ]
    assert [place for place in found if not place.startswith("ml/models/fitting.py:")] == []
