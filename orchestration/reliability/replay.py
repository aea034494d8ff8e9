"""Replay: quarantined rows enter their tables once the rules or the data allow it.

Here: one transaction that validates again and moves the good rows. Not here: the rules (`sources.validation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sources.replay import replay

if TYPE_CHECKING:
    from lake.connection import Lake


@dataclass(frozen=True)
class ReplayReport:
    """Rows let in, and rows that still break a rule."""

    replayed: int
    still_open: int


def replay_quarantine(lake: Lake, renames: Mapping[str, str] | None = None) -> ReplayReport:
    """Validate every open quarantine row again; rows now good enter their raw table and are marked replayed.

    One transaction: a row is never both in quarantine and in its table, nor in neither.

    Args:
        lake: The lake.
        renames: Payload column → contract column, for rows that came under a wrong name (a schema break).
    """
    replayed = still_open = 0
    with lake.write("replay quarantine") as con:
        held = con.execute(
            "select * from raw.quarantine where status = 'open' order by quarantine_id"
        ).to_arrow_table()
        if held.num_rows == 0:
            return ReplayReport(0, 0)
        now = datetime.now(UTC).replace(tzinfo=None)
        for table, batch in replay(held, now=now, renames=renames).items():
            still_open += batch.rejected.num_rows
            if batch.rows.num_rows == 0:
                continue
            con.register("replayed_rows", batch.rows)
            con.execute(f"insert into raw.{table} by name select * from replayed_rows")
            con.execute(
                "update raw.quarantine set status = 'replayed' where status = 'open' and table_name = ?"
                " and (source, source_row) in (select (source, source_row) from replayed_rows)",
                [table],
            )
            con.unregister("replayed_rows")
            replayed += batch.rows.num_rows
    return ReplayReport(replayed, still_open)
