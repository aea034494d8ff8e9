"""The check that no collection's last training failed.

Here: the record of failures (`ops.training_failures`, one row per collection whose last training failed) and its check.
Not here: why a fit fails (`ml.training.collections`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from ml.states import Action
from ml.tables.ops import TRAINING_FAILURES
from orchestration.checks.definition import EXAMPLES, Check, CheckContext, Finding
from orchestration.output.commands import assay_command

if TYPE_CHECKING:
    import duckdb

    from ml.training.collections import TrainingOutcome


def record_failures(
    con: duckdb.DuckDBPyConnection, outcomes: Sequence[TrainingOutcome], run_id: str, as_of: datetime
) -> None:
    """Record which of the trained collections failed, in the caller's transaction; the others lose their record."""
    from ml.tables.writing import append

    con.execute(
        f"delete from {TRAINING_FAILURES.name} where collection in (select unnest($1))",
        [[outcome.collection for outcome in outcomes]],
    )
    failed = [
        {"collection": o.collection, "failed_at": as_of, "run_id": run_id, "reason": o.reason}
        for o in outcomes
        if o.status == Action.FAILED
    ]
    if failed:
        append(con, TRAINING_FAILURES.name, pa.Table.from_pylist(failed, schema=TRAINING_FAILURES.arrow()))


def none_left_failed(context: CheckContext) -> Finding:
    """Collections whose last training failed, and the command that trains them again."""
    names = [
        row[0]
        for row in context.con.execute(
            f"select collection from {TRAINING_FAILURES.name} order by 1"
        ).fetchall()
    ]
    rows = context.con.execute(
        f"select * from {TRAINING_FAILURES.name} order by collection limit {EXAMPLES}"
    ).df()
    command = assay_command("retrain", *names, reason="failed before") if names else None
    return Finding(not names, {"collections_left_failed": len(names)}, rows, commands=command)


NONE_LEFT_FAILED = Check(
    name="no_partition_left_failed",
    asset="price_models",
    description="Every collection's last training ended with a decision.",
    measure=none_left_failed,
    what_to_do="assay retrain COLLECTION --reason …",
    runbook="collection-failed-to-train",
)
MODELS = (NONE_LEFT_FAILED,)
