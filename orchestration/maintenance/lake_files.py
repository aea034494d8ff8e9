"""Damaged files of the lake, as incidents: found by the daily maintenance and by `assay doctor`.

Here: reviewing the files and opening incidents, one for each table. Not here: digests (`lake.digests`), what to do
(`docs/runbook/file-damaged.md`).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from lake.digests import DamagedFile, FileReview, review
from orchestration.alerts.keys import incident_key
from orchestration.states import Severity

if TYPE_CHECKING:
    from orchestration.alerts.outbox import Alert
    from orchestration.resources import Assay

SCOPE = "damaged"
"""Scope of these incidents."""

SHOWN = 3
"""Files that an incident names."""


def find_damaged_files(assay: Assay) -> FileReview:
    """Compare every file of the lake with its digest; incidents are opened, and ended for tables that are whole."""
    from orchestration.alerts.outbox import keep_incidents

    folder = assay.lake.data_folder
    with assay.lake.read() as con:
        found = review(con, folder)
    keep_incidents(assay, SCOPE, list(_alerts(found.damaged)))
    return found


def described(file: DamagedFile) -> str:
    """A damaged file in a line."""
    until = "" if file.end_snapshot is None else f" to {file.end_snapshot - 1}"
    return (
        f"{file.path}: {file.found}; {file.rows:,} rows of {file.table}, snapshots {file.first_snapshot}"
        f"{until or ' to now'}"
    )


def _alerts(damaged: Iterable[DamagedFile]) -> Iterable[Alert]:
    from orchestration.alerts.outbox import Alert

    for table, of_table in groupby(sorted(damaged, key=lambda file: file.table), lambda file: file.table):
        files = list(of_table)
        in_newest = [file for file in files if file.end_snapshot is None]
        more = "" if len(files) <= SHOWN else f"; and {len(files) - SHOWN} more"
        yield Alert(
            key=incident_key(SCOPE, table),
            # What only earlier snapshots have is no part of any estimate that is made now.
            severity=Severity.PAGE if in_newest else Severity.TICKET,
            title=f"{len(files)} file(s) of {table} are not as they were written",
            body="; ".join(described(file) for file in files[:SHOWN]) + more,
            runbook="file-damaged",
            command="assay doctor",
            group="tables have damaged files",
        )
