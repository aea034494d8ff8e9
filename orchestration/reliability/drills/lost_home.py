"""The drill in which a home is lost: backed up, destroyed, restored on another path, every table compared.

Here: what happens, and what must hold. Not here: backups (`orchestration.backup`), faults of the market
(`orchestration.reliability.drills.run`), what tables are compared by (`lake.content`): the home is gone when there is
something to compare it with.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from lake.content import Content, content, differences
from orchestration.backup.folder import BackupFolder
from orchestration.backup.restoring import restore
from orchestration.backup.taking import back_up
from orchestration.reliability.drills.catalogue import Drill
from orchestration.reliability.drills.market import FAULT_DAY, build_market, drill_settings, scratch_home
from orchestration.reliability.drills.timeline import DrillResult, Expectation, Moment
from orchestration.resources import Assay
from orchestration.states import DrillStep

RESTORED = "-restored"
"""Ends the name of the home that is made from the backup."""


def run_lost_home(drill: Drill, markets: Path, home: Path, say: Callable[[str], None]) -> DrillResult:
    """Lose a home and get it back; parameters as `orchestration.reliability.drills.run.run_drill`."""
    began = time.monotonic()
    scratch_home(build_market(markets, drill.seed, say), home, drill.seed, "")
    assay = Assay(drill_settings(home, days=FAULT_DAY, seed=drill.seed))
    as_of, before, files = assay.as_of, _content(assay), _kept_files(home)
    backups, target = (
        BackupFolder(home.with_name(f"{home.name}-backups")),
        home.with_name(home.name + RESTORED),
    )
    say(f"{drill.name}: backing up, destroying and restoring the home")
    taken = back_up(assay, backups, keep=1)
    shutil.rmtree(home)
    restored = restore(backups, target)
    differing = differences(before, _content(Assay(drill_settings(target, days=FAULT_DAY, seed=drill.seed))))
    rows = sum(cast("int", table["rows"]) for table in before.values())
    lacking = sorted(files - _kept_files(target))
    lost = [*taken.manifest.missing, *restored.missing]

    def moment(step: DrillStep, what: str) -> Moment:
        return Moment(step, as_of, None, what)

    return DrillResult(
        drill.name,
        drill.shows,
        (
            moment(
                DrillStep.ACTED,
                f"backed up {taken.manifest.bytes / 1e6:.1f} MB in {len(taken.manifest.files):,} files,"
                f" {taken.seconds:.1f} s",
            ),
            moment(DrillStep.INJECTED, "the home is destroyed"),
            moment(DrillStep.RECOVERED, f"restored on another path in {restored.seconds:.1f} s"),
        ),
        (
            Expectation("the home is gone", "still there" if home.exists() else "gone", not home.exists()),
            Expectation("no file is lost", f"{len(lost)} lost" if lost else "none lost", not lost),
            Expectation("the restored home has its other files", ", ".join(lacking) or "all", not lacking),
            Expectation(
                "every table is the same",
                f"differing: {', '.join(differing)}" if differing else f"{len(before)} tables, {rows:,} rows",
                bool(rows) and not differing,
            ),
        ),
        time.monotonic() - began,
        str(target),
    )


def _content(assay: Assay) -> Content:
    return content(assay.lake, schemas=None, left_out=(), copied=True)


def _kept_files(home: Path) -> set[str]:
    """What lies beside the lake and cannot be made again from it."""
    return {name for name in ("market.json", "alerts.db", "artifacts") if (home / name).exists()}
