"""Days of arrival in the raw tables: which differ from the log, and replacing them.

Here: SQL inside the caller's transaction. Not here: which days are asked for (`orchestration.ingestion.ingest`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from orchestration.ingestion.collection_keys import TABLES as WITH_COLLECTION
from sources.contract import QUARANTINE

if TYPE_CHECKING:
    import duckdb

# Ends the fingerprint of a day that was read before it was over.
UNFINISHED = " unfinished"


@dataclass
class IngestReport:
    """What one ingestion did. Counts are rows; `days` are arrival days (re)written."""

    table: str
    days: int = 0
    rows: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, other: IngestReport) -> None:
        """Count what another source did, too."""
        self.days += other.days
        self.rows += other.rows
        self.quarantined += other.quarantined
        for reason, n in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + n


def replace_changed_days(
    con: duckdb.DuckDBPyConnection,
    source: str,
    table: str,
    window: tuple[datetime, datetime],
    report: IngestReport,
    renamed: Mapping[tuple[str, str], str],
) -> None:
    """Replace the days of a window that differ from the log, in the caller's transaction.

    Args:
        con: A write connection with the views `incoming` and `incoming_rejected`.
        source: Name of the source.
        table: Raw table.
        window: First and last time (UTC, naive; the last excluded).
        report: Counts what was done.
        renamed: See `insert_rows`.
    """
    _fingerprint_days(con, source, table, *window)
    try:
        _replace(con, source, table, report, renamed)
    finally:
        con.execute("drop table changed_days")


def _replace(
    con: duckdb.DuckDBPyConnection,
    source: str,
    table: str,
    report: IngestReport,
    renamed: Mapping[tuple[str, str], str],
) -> None:
    changed = con.execute(
        "select count(*), count_if(was_logged), coalesce(sum(rows), 0), coalesce(sum(quarantined), 0) from changed_days"
    ).fetchone()
    assert changed is not None
    days, relogged, rows, quarantined = changed
    if not days:
        return
    if relogged:
        _delete_days(con, source, table)
    changed_days = "where cast(known_at as date) in (select day from changed_days)"
    insert_rows(con, source, table, f"select * from incoming {changed_days}", renamed)
    insert_rows(con, source, QUARANTINE.name, f"select * from incoming_rejected {changed_days}", {})
    con.execute(
        "insert into ops.ingest_log by name select $table as table_name, $source as source, day, rows, quarantined,"
        " fingerprint from changed_days",
        {"table": table, "source": source},
    )
    reasons = con.execute(
        "select reason, count(*) from incoming_rejected r semi join changed_days d on cast(r.known_at as date) = d.day"
        " group by all"
    ).fetchall()
    report.add(IngestReport(table, days, rows, quarantined, dict(reasons)))


def _fingerprint_days(
    con: duckdb.DuckDBPyConnection, source: str, table: str, start: datetime, end: datetime
) -> None:
    """Temp table `changed_days`: every day of the window whose content differs from the log.

    The fingerprint is a sum of row hashes, not an xor: two identical rows must not cancel out.
    """
    con.execute(
        """
        create or replace temp table changed_days as
        with days as (
            select unnest(generate_series(cast($start as date), cast($last as date), interval 1 day))::date as day
        ),
        good as (
            select cast(known_at as date) as day, count(*) as n, sum(hash(incoming)::hugeint) as h
            from incoming group by all
        ),
        bad as (
            select cast(known_at as date) as day, count(*) as n, sum(hash(incoming_rejected)::hugeint) as h
            from incoming_rejected group by all
        ),
        incoming_days as (
            select
                days.day,
                coalesce(good.n, 0) as rows,
                coalesce(bad.n, 0) as quarantined,
                md5(concat_ws('/', coalesce(good.h, 0), coalesce(bad.h, 0)))
                || case when days.day + interval 1 day > $end then $unfinished else '' end as fingerprint
            from days
            left join good using (day)
            left join bad using (day)
        ),
        logged as (
            select day, fingerprint from ops.ingest_log where source = $source and table_name = $table
        )
        select incoming_days.*, logged.day is not null as was_logged
        from incoming_days
        left join logged using (day)
        where logged.fingerprint is distinct from incoming_days.fingerprint
        """,
        {
            "start": start,
            "last": end - timedelta(microseconds=1),
            "end": end,
            "unfinished": UNFINISHED,
            "source": source,
            "table": table,
        },
    )


def _delete_days(con: duckdb.DuckDBPyConnection, source: str, table: str) -> None:
    """Forget what this source delivered on the changed days."""
    of_source = "delivered_by = $source and cast(known_at as date) in (select day from changed_days)"
    given = {"source": source, "table": table}
    con.execute(f"delete from raw.{table} where {of_source}", {"source": source})
    con.execute(f"delete from raw.quarantine where table_name = $table and {of_source}", given)
    con.execute(
        "delete from ops.ingest_log where source = $source and table_name = $table"
        " and day in (select day from changed_days)",
        given,
    )


def insert_rows(
    con: duckdb.DuckDBPyConnection,
    source: str,
    table: str,
    query: str,
    renamed: Mapping[tuple[str, str], str],
) -> None:
    """Insert rows of a source into a raw table, under the collections of this home.

    Args:
        con: A write connection of the lake.
        source: Name of the source.
        table: Raw table, or quarantine.
        query: Query for the rows in the contract's columns.
        renamed: (chain, key in the source) → key in the home (`collection_keys.learn_keys`).
    """
    query = in_home_keys(con, table, query, renamed)
    con.execute(
        f"insert into raw.{table} by name select *, $source as delivered_by from ({query})",
        {"source": source},
    )


def in_home_keys(
    con: duckdb.DuckDBPyConnection, table: str, query: str, renamed: Mapping[tuple[str, str], str]
) -> str:
    """The query of a source's rows with the collections of this home (`insert_rows`)."""
    if not renamed or table not in WITH_COLLECTION:
        return query
    con.register(
        "renamed_collections",
        pa.table(
            {
                "chain": pa.array([chain for chain, _ in renamed], pa.string()),
                "given": pa.array([given for _, given in renamed], pa.string()),
                "home": pa.array(list(renamed.values()), pa.string()),
            }
        ),
    )
    return (
        "select given.* replace (coalesce(renamed.home, given.collection) as collection)"
        f" from ({query}) as given left join renamed_collections as renamed"
        " on given.chain = renamed.chain and given.collection = renamed.given"
    )
