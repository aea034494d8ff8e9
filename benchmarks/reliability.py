"""A backup, a restore, a reconciliation and a pass of consistency of a home, measured: parts of docs/reliability.md.

    python -m benchmarks.reliability [HOME]     # writes docs/measured/restore.json, reconciliation.json, promise.json

Without HOME a simulated market is made first. A home that is given is read; where its newest backup is and what the
pass has found are kept in it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.runs import assay_run
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
COMMAND = "python -m benchmarks.reliability"


def main() -> None:
    """Measure, print and keep."""
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="assay-reliability-") as scratch:
        folder = Path(scratch)
        given = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else None
        if given is None:
            assay_run(folder / "home", *MARKET)
        assay = Assay(load_settings(home=given or folder / "home"))
        notes = [
            f"{machine['cores']} cores of {machine['processor']}, DuckDB {machine['duckdb']}.",
            f"The home: {'a simulated market, ' + ' '.join(MARKET) if given is None else 'one that was given'}.",
        ]
        restored = _restored(assay, folder)
        compared = _compared(assay)
        promised = _promised(assay)
    for part, figures, more in (
        ("restore", restored, []),
        ("reconciliation", compared, []),
        ("promise", promised, ["The clock is set forward a day between passes."]),
    ):
        for figure in figures:
            print(f"{figure.what}: {figure.found}")
        print(write_measurement(part, COMMAND, figures, [*notes, *more]))


def _restored(assay: Assay, folder: Path) -> list[Figure]:
    backups = BackupFolder(folder / "backups")
    first, second = back_up(assay, backups, keep=2), back_up(assay, backups, keep=2)
    began = time.monotonic()
    done = restore(backups, folder / "restored")
    seconds = time.monotonic() - began
    lost = len(done.missing) + len(first.manifest.missing)
    differing = [one for one in _comparisons(Assay(load_settings(home=done.home))) if not one.is_clean]
    return [
        Figure(
            "size of the home's backup",
            f"{first.manifest.bytes / 1e6:,.1f} MB, {len(first.manifest.files):,} files",
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
    main()
