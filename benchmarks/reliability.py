"""A backup, a restore, a reconciliation and a pass of consistency of a home, measured: parts of docs/reliability.md.

    python -m benchmarks.reliability [HOME] [--only restore]      # writes docs/measured/PART.json

Without HOME a simulated market is made first. A home that is given is read; where its newest backup is and what the
pass has found are kept in it. The page says what a restore of a large home takes, so that part is measured with one:

    assay run --collections 3000 --home HOME && python -m benchmarks.reliability HOME --only restore
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.machine import describe_machine
from benchmarks.runs import assay_run
from lake.content import content, differences
from orchestration.backup.folder import BackupFolder
from orchestration.backup.restoring import restore
from orchestration.backup.taking import back_up
from orchestration.clock import WALL_CLOCK, SetClock
from orchestration.reconciliation.consistency import check_consistency
from orchestration.reconciliation.findings import Comparison, Scope
from orchestration.reconciliation.rechecks import TARGET
from orchestration.reconciliation.reconcile import reconcile
from orchestration.reliability.measured import Figure, write_measurement
from orchestration.resources import Assay
from orchestration.settings import load_settings

MARKET = ("--collections", "12", "--days", "120")


class Part(StrEnum):
    """What is measured; the names of `orchestration.reliability.measured`."""

    restore = "restore"
    reconciliation = "reconciliation"
    promise = "promise"


def main(
    home: Annotated[Path | None, typer.Argument(help="A home that has been run.")] = None,
    only: Annotated[list[Part] | None, typer.Option(help="Measure these parts.")] = None,
) -> None:
    """Measure, print and keep."""
    machine = describe_machine()
    command = "python -m benchmarks.reliability"
    with tempfile.TemporaryDirectory(prefix="assay-reliability-") as scratch:
        folder = Path(scratch)
        if home is None:
            assay_run(folder / "home", *MARKET)
        assay = Assay(load_settings(home=home.absolute() if home else folder / "home"))
        notes = [
            f"{machine['cores']} cores of {machine['processor']}, DuckDB {machine['duckdb']}.",
            f"The home: {_size(assay) if home else 'a simulated market, ' + ' '.join(MARKET)}.",
        ]
        measures: dict[Part, Callable[[], list[Figure]]] = {
            Part.restore: lambda: _restored(assay, folder),
            Part.reconciliation: lambda: _compared(assay),
            Part.promise: lambda: _promised(assay),
        }
        for part in only or list(Part):
            figures = measures[part]()
            more = ["The clock is set forward a day between passes."] if part == Part.promise else []
            for figure in figures:
                print(f"{figure.what}: {figure.found}")
            called = command if home is None else f"{command} HOME --only {part}"
            print(write_measurement(part, called, figures, [*notes, *more]))


def _size(assay: Assay) -> str:
    with assay.lake.read() as con:
        row = con.execute(
            "select (select count(*) from marts.dim_collections), (select count(*) from raw.sales), "
            "(select count(*) from marts.dim_tokens)"
        ).fetchone()
    assert row is not None
    return "{:,} collections, {:,} sales, {:,} tokens, all stages done".format(*row)


def _restored(assay: Assay, folder: Path) -> list[Figure]:
    backups = BackupFolder(folder / "backups")
    first, second = back_up(assay, backups, keep=2), back_up(assay, backups, keep=2)
    began = time.monotonic()
    done = restore(backups, folder / "restored")
    seconds = time.monotonic() - began
    lost = len(done.missing) + len(first.manifest.missing)
    homes = assay, Assay(load_settings(home=done.home))
    before, after = (content(one.lake, schemas=None, left_out=(), copied=True) for one in homes)
    differing = differences(before, after)
    return [
        Figure(
            "size of the home's backup",
            f"{first.manifest.bytes / 1e6:,.1f} MB, {len(first.manifest.files):,} files",
        ),
        Figure(
            "tables and rows in it",
            f"{len(before)}, {sum(int(str(one['rows'])) for one in before.values()):,}",
        ),
        Figure("first backup", f"{first.seconds:.1f} s"),
        Figure("second backup", f"{second.seconds:.1f} s, {second.bytes_copied:,} bytes copied"),
        Figure("restore on another path", f"{seconds:.1f} s"),
        Figure("files that were lost", str(lost), "0", lost == 0),
        Figure("tables of the restored home that differ", str(len(differing)), "0", not differing),
    ]


def _compared(assay: Assay) -> list[Figure]:
    began = time.monotonic()
    found = _comparisons(assay)
    seconds = time.monotonic() - began
    rows, differing = sum(one.rows for one in found), sum(one.differing_rows for one in found)
    wrong = sum(one.problem is not None for one in found)
    return [
        Figure("tables compared", str(len(found))),
        Figure("rows compared", f"{rows:,}"),
        Figure("rows that differ", f"{differing:,}", "0", differing == 0),
        Figure("tables with another problem", str(wrong), "0", wrong == 0),
        Figure("time", f"{seconds:.1f} s"),
    ]


def _promised(assay: Assay) -> list[Figure]:
    """Passes a day apart by a clock that is set, until each segment was compared."""
    clock = SetClock(WALL_CLOCK.now())
    assay, rng, began = Assay(assay.settings, clock), np.random.default_rng(1), time.process_time()
    passes = [check_consistency(assay, rng)]
    while not all(life.checks for life in passes[-1].current) and passes[-1].compared:
        clock.forward(timedelta(days=1))
        passes.append(check_consistency(assay, rng))
    done, seconds = passes[-1], (time.process_time() - began) / len(passes)
    rows = sum(life.rows for life in done.current)
    enough = done.bound_without_differences <= TARGET
    return [
        Figure("segments (a table, source and day) and their rows", f"{len(done.current):,}, {rows:,}"),
        Figure("daily passes in which each was compared once", f"{len(passes)}"),
        Figure("CPU time of a pass", f"{seconds:.1f} s"),
        Figure("rows that differ", f"{done.bound.rows_differing:,}", "0", not done.bound.rows_differing),
        Figure("days of segments seen without a difference", f"{done.exposure_days:,.0f}"),
        Figure(
            "greatest share of rows that may differ until the next pass, with 95 % confidence",
            f"{done.bound.bound:.2g}" + ("" if enough else ", too few days of segments to promise less"),
            f"{TARGET:g}",
            done.bound.bound <= TARGET if enough else None,
        ),
    ]


def _comparisons(assay: Assay) -> list[Comparison]:
    return [one for one in reconcile(assay, Scope()) if one.skipped is None]


if __name__ == "__main__":
    typer.run(main)
