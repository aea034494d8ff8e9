"""Replay: quarantined rows enter their tables once the rules or the data allow it.

Here: one transaction that validates again and moves the good rows. Not here: the rules (`sources.validation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from orchestration.clock import WALL_CLOCK
from orchestration.ingestion.collection_keys import TABLES as WITH_COLLECTION
from orchestration.ingestion.collection_keys import learn_keys
from orchestration.ingestion.days import insert_rows
from sources.replay import replay

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

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
        now = WALL_CLOCK.now()
        for source in sorted(set(held.column("delivered_by").to_pylist())):
            of_source = held.filter(pc.equal(held.column("delivered_by"), source))
            for table, batch in replay(of_source, now=now, renames=renames).items():
                still_open += batch.rejected.num_rows
                if batch.rows.num_rows:
                    _let_in(con, source, table, batch.rows)
                    replayed += batch.rows.num_rows
    return ReplayReport(replayed, still_open)


def _let_in(con: duckdb.DuckDBPyConnection, source: str, table: str, rows: pa.Table) -> None:
    renamed = learn_keys(con, source, {table: rows} if table in WITH_COLLECTION else {})
    con.register("replayed_rows", rows)
    insert_rows(con, source, table, "select * from replayed_rows", renamed)
    con.execute(
        "update raw.quarantine set status = 'replayed' where status = 'open' and table_name = $table"
        " and delivered_by = $source and (source, source_row) in (select (source, source_row) from replayed_rows)",
        {"table": table, "source": source},
    )
    con.unregister("replayed_rows")
