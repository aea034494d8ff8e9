"""The doctor: what a home consists of, examined part by part, with what to do.

Here: which parts, and putting each finding into words. Not here: the examinations of what runs
(`orchestration.alerts.health`, the watchdog), and any repair.

A part that cannot be examined is a finding about that part: the others are examined all the same.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lake.catalog import referenced_files
from lake.config import CATALOG_ALIAS
from lake.sqlite_files import problems_of
from lake.storage import is_object_store
from ml.registry.mirror import read_champions
from ml.registry.rebuilding import lost_models
from ml.text.visible import visible
from orchestration.alerts.health import HealthLimits, full_disk
from orchestration.home_faults import damaged_databases
from orchestration.maintenance.lake_files import described, find_damaged_files
from orchestration.models.lost_files import find_lost_files
from orchestration.resources import Assay

CLOCK_SLACK = timedelta(minutes=5)
"""How far the newest snapshot may be ahead of the clock: machines of a team differ a little."""

BACKUP_AGE = timedelta(days=7)
"""A backup that is older is not recent; asked only where one was ever made."""

LISTED = 5
"""Findings of one part that are named."""


@dataclass(frozen=True)
class Examined:
    """One part of a home.

    Attributes:
        part: What was examined.
        result: What was seen, in a line.
        problems: What is wrong; none: nothing.
        advice: What to do about it.
    """

    part: str
    result: str
    problems: tuple[str, ...] = ()
    advice: str = ""


def examine(assay: Assay) -> list[Examined]:
    """Examine every part of a home. Incidents are opened and ended as the monitoring does."""
    parts: tuple[tuple[str, Callable[[Assay], Examined], str], ...] = (
        ("versions", _versions, "Install Assay again."),
        ("permissions", _permissions, "Run as the user who owns the home, or give it to this one."),
        ("disk", _disk, "docs/runbook/disk-full.md"),
        ("clock", _clock, "Set the clock of this machine: times of new rows would lie before old ones."),
        ("lake files", _lake_files, "docs/runbook/file-damaged.md"),
        ("databases", _databases, "docs/runbook/home-damaged.md"),
        (
            "other files",
            _other_files,
            "`assay ui`, job `maintain`, removes what is ours and a day old; the rest is yours.",
        ),
        ("model files", _model_files, "docs/runbook/model-file-lost.md: `assay run` fits them again."),
        (
            "model registry",
            _model_registry,
            "docs/runbook/home-damaged.md: the next training of the prior registers them again.",
        ),
        ("backup", _backup, "`assay backup DIR`, each night: docs/how-to/back-up-and-restore.md"),
        ("published store", _store, "docs/runbook/store-refused.md: `assay run` publishes again."),
    )
    return [_examined(part, work, advice, assay) for part, work, advice in parts]


def _examined(part: str, work: Callable[[Assay], Examined], advice: str, assay: Assay) -> Examined:
    try:
        found = work(assay)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return Examined(
            part, "could not be examined", (f"{type(error).__name__}: {str(error)[:500]}",), advice
        )
    return Examined(part, found.result, found.problems, advice if found.problems else "")


def _part(result: str, problems: Iterable[str] = ()) -> Examined:
    found = list(problems)
    more = [f"and {len(found) - LISTED} more"] if len(found) > LISTED else []
    return Examined("", result, (*found[:LISTED], *more))


def _versions(assay: Assay) -> Examined:
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("assay", "duckdb", "dagster", "mlflow-skinny")
    )
    with assay.lake.read() as con:
        row = con.execute("select max(version) from ops.lake_version").fetchone()
    return _part(f"{versions}, lake {row[0] if row else 'none'}")


def _permissions(assay: Assay) -> Examined:
    # Opening the home has made it private.
    home = assay.settings.home_path
    closed = [path for path in (home, *home.iterdir()) if not os.access(path, os.R_OK | os.W_OK)]
    return _part("this user may read and write", (visible(str(path)) for path in closed))


def _disk(assay: Assay) -> Examined:
    return _part(
        "enough is free", (alert.body for alert in full_disk(assay.settings.home_path, HealthLimits()))
    )


def _clock(assay: Assay) -> Examined:
    now = datetime.now().astimezone()
    with assay.lake.read() as con:
        row = con.execute(f"select max(snapshot_time) from ducklake_snapshots('{CATALOG_ALIAS}')").fetchone()
    newest = row[0] if row else None
    ahead = newest is not None and newest > now + CLOCK_SLACK
    problem = f"it is {now:%Y-%m-%d %H:%M %Z}, and the newest snapshot was made {newest:%Y-%m-%d %H:%M %Z}"
    return _part("after the newest snapshot", [problem] if ahead else [])


def _lake_files(assay: Assay) -> Examined:
    found = find_damaged_files(assay)
    if is_object_store(assay.lake.data_folder):
        return _part("in an object store, which keeps digests itself")
    unrecorded = f", {found.unrecorded:,} of them without a digest yet" if found.unrecorded else ""
    return _part(
        f"{found.files:,} files, {found.bytes / 1e6:,.1f} MB read{unrecorded}", map(described, found.damaged)
    )


def _databases(assay: Assay) -> Examined:
    return _part("each can be read as a whole", map(str, damaged_databases(assay.settings.home_path)))


def _other_files(assay: Assay) -> Examined:
    folder = assay.lake.data_folder
    if is_object_store(folder):
        return _part("in an object store: not listed")
    with assay.lake.read() as con:
        known = referenced_files(con)
    there = (path for path in Path(folder).rglob("*") if path.is_file() and path.suffix == ".parquet")
    other = sorted(
        name
        for path in there
        if (name := path.relative_to(folder).as_posix()) not in known and str(path) not in known
    )
    named = f", such as {visible(other[0])}" if other else ""
    return _part(f"{len(other):,} that no snapshot references{named}")


def _model_files(assay: Assay) -> Examined:
    return _part(
        "all that are referred to are there",
        (
            f"{file.role} {visible(file.model)} of {visible(file.owner)}: {file.problem}"
            for file in find_lost_files(assay)
        ),
    )


def _model_registry(assay: Assay) -> Examined:
    with assay.lake.read() as con:
        champions = sorted(read_champions(con))
    embedded = assay.settings.home_path / "mlflow.sqlite"
    is_embedded = assay.settings.mlflow_url is None
    # Opening it would make a missing file and move a damaged one aside, and the doctor changes nothing.
    if champions and is_embedded and embedded.exists() and problems_of([embedded])[0] is not None:
        return _part(
            "in a damaged database", [f"{len(champions):,} champions of the lake cannot be looked for"]
        )
    there = bool(champions) and (embedded.exists() or not is_embedded)
    lost = lost_models(champions, assay.registry) if there else champions
    return _part(
        f"{len(champions) - len(lost):,} of {len(champions):,} champions of the lake",
        (f"{visible(name)} has a champion in the lake, and none in the registry" for name in lost),
    )


def _backup(assay: Assay) -> Examined:
    from lake.backup_record import last_backup

    last = last_backup(assay.settings.home_path)
    if last is None:
        return _part("none is known; it is yours to decide whether there is one")
    age = datetime.now(UTC) - datetime.fromisoformat(last.made_at)
    old = f"the newest known backup is {age.days} days old: {visible(last.described)}"
    return _part(visible(last.described), [old] if age > BACKUP_AGE else [])


def _store(assay: Assay) -> Examined:
    from orchestration.home import store_location
    from serving.store.files import POINTER, check_file, read_pointer

    location = store_location(assay.settings)
    if not isinstance(location, Path):
        return _part("in a database: not examined")
    if not (location / POINTER).exists():
        return _part("nothing is published yet")
    pointer = read_pointer(location)
    check_file(location, pointer)
    return _part(f"version {pointer.version}, {pointer.bytes / 1e6:,.1f} MB")
