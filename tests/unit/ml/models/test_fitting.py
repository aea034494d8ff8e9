"""CatBoost's training runs once at a time in a process, whoever asks for it."""

from __future__ import annotations

import ast
import itertools
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from catboost import CatBoostRegressor, Pool

from ml.models.fitting import fit

ROOMS = ("ml", "orchestration", "serving", "sources", "lake")


def test_two_threads_do_not_train_at_once() -> None:
    spans: list[tuple[float, float]] = []

    class Slow:
        def after_iteration(self, info: Any) -> bool:  # noqa: ARG002 - CatBoost's callback signature
            time.sleep(0.01)
            return True

    def train() -> None:
        model = CatBoostRegressor(iterations=10, verbose=False, allow_writing_files=False, thread_count=1)
        times: list[float] = []

        class Watch(Slow):
            def after_iteration(self, info: Any) -> bool:
                times.append(time.monotonic())
                return super().after_iteration(info)

        rows = np.arange(60.0).reshape(20, 3)
        fit(model, Pool(rows, rows[:, 0]), [Watch()])
        assert model.tree_count_ == 10
        spans.append((times[0], times[-1]))

    threads = [threading.Thread(target=train) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans.sort()
    assert len(spans) == 3
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
