"""kill -9 at random moments of a run, the maintenance and a backup: a part of docs/reliability.md.

    python -m benchmarks.kills [--kills 100] [--seed 1]     # writes docs/measured/kills.json

A simulated market from its first day on; each day every step is killed again and again, and then let end. Each day's
tables are compared with those of a home that was not disturbed.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.killed_steps import Outcome, kill_and_compare
from benchmarks.machine import describe_machine
from benchmarks.steps import SMALL
from orchestration.reliability.measured import Figure, write_measurement

PLAN = {"run": 12, "maintain": 5, "backup": 5}
"""Attempts of a day: a step that ends before its moment is not killed."""


def main(
    kills: Annotated[int, typer.Option(help="At least so many; whole days of them.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 1,
) -> None:
    """Kill, compare, print and keep; exit with 1 when a step failed or a table differs."""
    machine = describe_machine()
    outcome = Outcome()
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="assay-kills-") as scratch:
        while outcome.killed.total() < kills:
            kill_and_compare(SMALL, Path(scratch), PLAN, rng, so_far=outcome, say=typer.echo)
    for line in (*outcome.failed, *outcome.differing):
        typer.echo(line)
    figures = _figures(outcome)
    for figure in figures:
        typer.echo(f"{figure.what}: {figure.found}")
    notes = [
        f"{machine['cores']} cores of {machine['processor']}, DuckDB {machine['duckdb']}.",
        f"A simulated market, {' '.join(SMALL.options)}, {outcome.days} days from its day {SMALL.days} on.",
    ]
    typer.echo(write_measurement("kills", f"python -m benchmarks.kills --kills {kills}", figures, notes))
    raise typer.Exit(bool(outcome.failed or outcome.differing))


def _figures(outcome: Outcome) -> list[Figure]:
    by_step = ", ".join(f"{count} of {step}" for step, count in sorted(outcome.killed.items()))
    recovery = [after / before for after, before in zip(outcome.seconds_after, outcome.seconds, strict=True)]
    return [
        Figure("processes killed while they worked", f"{outcome.killed.total()} ({by_step})"),
        Figure("steps that did not end well afterwards", str(len(outcome.failed)), "0", not outcome.failed),
        Figure("differences in tables", str(len(outcome.differing)), "0", not outcome.differing),
        Figure(
            "time of a step after its kills, against the same step undisturbed (median, most)",
            f"{statistics.median(recovery):.2f} ×, {max(recovery):.2f} ×",
        ),
        Figure("longest step after its kills", f"{max(outcome.seconds_after):.1f} s"),
    ]


if __name__ == "__main__":
    typer.run(main)
