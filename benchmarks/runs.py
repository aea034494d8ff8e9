"""Whole runs of the command, each in a process of its own, as a user starts them."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ASSAY = str(Path(sys.executable).parent / "assay")


@dataclass(frozen=True)
class Run:
    """One `assay run`: elapsed seconds, seconds of CPU of the process and its children, and what it reported.

    CPU is what a run costs on a machine that also does other work; there the elapsed seconds say little.
    """

    elapsed_s: float
    cpu_s: float
    report: dict[str, Any]

    def stage(self, *names: str) -> float:
        """Seconds of the named stages together."""
        return sum(s["seconds"] for s in self.report["stages"] if s["name"] in names)


def assay_run(home: Path, *options: str, env: Mapping[str, str] | None = None) -> Run:
    """`assay run --json` on a home; raises with the command's own message when it fails.

    Args:
        home: Folder of the home.
        options: Of the command.
        env: Its whole environment; this process's when None.
    """
    command = [ASSAY, "run", "--json", "--home", str(home), *options]
    started, cpu_before = time.perf_counter(), _cpu_of_children()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    elapsed, cpu = time.perf_counter() - started, _cpu_of_children() - cpu_before
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return Run(elapsed, cpu, json.loads(done.stdout))


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def code_location_seconds() -> float:
    """Import of the code location in a fresh process, the way Dagster's servers do it."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "from orchestration.definitions import defs; defs()"],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started
