"""Raw tables against their sources, day by day of arrival.

Here: what a source gives now for the days that were ingested, compared with what the lake holds of it. The files of a
folder are read again, the simulator runs again, a chain or an API answers from what it keeps (blocks with their
manifest, pages that were read whole) or, for a deep comparison, is asked again. Not here: repairs
(`orchestration.reconciliation.repairs`).

Rows of a day between the first and the last that were ingested are extra if the log has no such day. Not compared: rows
that became known after the newest row of a day that was not over when it was read, unless the lake holds fewer rows of
it than were written.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from lake.diff import compare
from lake.storage import quoted
from orchestration.ingestion.collection_keys import known_keys
from orchestration.ingestion.days import UNFINISHED, in_home_keys
from orchestration.ingestion.ingest import months
from orchestration.reconciliation.findings import Comparison, Scope, cannot_be_read, dated
from sources.contract import QUARANTINE, RAW_TABLES, raw_table
from sources.protocol import SourceError

if TYPE_CHECKING:
    from lake.diff import Difference
    from sources.protocol import Source

_NAMES_A_ROW = ("delivered_by", "source", "source_row")
_IN_ONE_SOURCE_ROW = ("token_id", "trait_type", "event_kind", "sub_index", "symbol")
_DAYS = "compared_days"
_DAY = "cast(known_at as date)"


def row_key(table: str) -> tuple[str, ...]:
    """Columns that name a row of a raw table as its source delivered it."""
    if table == QUARANTINE.name:
        return ("delivered_by", "quarantine_id")
    of_contract = raw_table(table).key
    return (*_NAMES_A_ROW, *(name for name in _IN_ONE_SOURCE_ROW if name in of_contract))


def compare_with_source(
    con: duckdb.DuckDBPyConnection, name: str, source: Source, scope: Scope
) -> list[Comparison]:
    """Compare every raw table in the scope with what a source gives now.

    Args:
        con: A connection of the lake at one snapshot.
        name: The configured source.
        source: The source, opened.
        scope: Which tables and days.

    Returns:
        One comparison of each table, and one of its quarantined rows if there are any on either side.
    """
    with_refused = scope.names(f"raw.{QUARANTINE.name}")
    tables = [
        table
        for table in RAW_TABLES
        if (with_refused or scope.names(f"raw.{table}")) and scope.days_of(table) != []
    ]
    accepted = {table: Comparison(f"raw.{table}", f"source {name}", name, table) for table in tables}
    refused = {
        table: Comparison(f"raw.{QUARANTINE.name}", f"refused rows of {table} of source {name}", name, table)
        for table in tables
    }
    con.execute(f"create or replace temp table {_DAYS} (table_name varchar, day date, until timestamp)")
    try:
        for table in tables:
            try:
                _note_days(con, name, table, scope)
            except duckdb.Error as error:
                # A damaged file: the other tables are compared all the same.
                accepted[table] = replace(accepted[table], problem=cannot_be_read(error))
        span = con.execute(f"select min(day), max(day) + 1 from {_DAYS}").fetchone()
        if span is not None and span[0] is not None:
            # Month by month, all tables together: a source that has to make or fetch a month does it once.
            for window in months(*(datetime.combine(day, time()) for day in span)):
                for table in tables:
                    days = _days_within(scope.days_of(table), window)
                    if accepted[table].problem is not None or days == []:
                        continue
                    try:
                        part = _compare_window(con, name, table, source, window, days)
                        accepted[table] = _added(con, accepted[table], table, part[0])
                        refused[table] = _added(con, refused[table], QUARANTINE.name, part[1])
                    except duckdb.Error as error:
                        accepted[table] = replace(accepted[table], problem=cannot_be_read(error))
        ingested = {row[0] for row in con.execute(f"select distinct table_name from {_DAYS}").fetchall()}
    except SourceError as error:
        return [
            replace(accepted[table], problem=f"the source cannot be read: {error}", days=(), listed=())
            for table in tables
        ]
    finally:
        con.execute(f"drop table if exists temp.{_DAYS}")
    return [
        *(
            one
            if table in ingested or one.problem is not None
            else replace(one, skipped="no day of it was ingested in this scope")
            for table, one in accepted.items()
            if scope.names(one.table)
        ),
        *(one for one in refused.values() if with_refused and (one.rows or not one.is_clean)),
    ]


def _note_days(con: duckdb.DuckDBPyConnection, name: str, table: str, scope: Scope) -> None:
    """Add each ingested day of a table to the temp table `compared_days`, and until when its rows are expected."""
    con.execute(
        f"""
        insert into {_DAYS}
        with held as (
            select {_DAY} as day, count(*) as rows, max(known_at) as newest from raw.{table}
            where delivered_by = $source group by 1
        ),
        refused as (
            select {_DAY} as day, max(known_at) as newest from raw.quarantine
            where delivered_by = $source and table_name = $table group by 1
        )
        select $table, logged.day, case
                when not ends_with(fingerprint, $unfinished) or coalesce(held.rows, 0) < logged.rows
                    then 'infinity'::timestamp
                else coalesce(greatest(held.newest, refused.newest), '-infinity'::timestamp)
            end as until
        from ops.ingest_log as logged left join held using (day) left join refused using (day)
        where logged.source = $source and table_name = $table
            and day between coalesce($first, day) and coalesce($last, day)
            and ($days is null or list_contains($days::date[], day))
        """,
        {
            "days": scope.days_of(table),
            "source": name,
            "table": table,
            "unfinished": UNFINISHED,
            "first": scope.first,
            "last": scope.last,
        },
    )


def _days_within(days: list[date] | None, window: tuple[datetime, datetime]) -> list[date] | None:
    """Those of the named days that lie in a window; None: no day is named."""
    first, end = window
    return None if days is None else [day for day in days if first.date() <= day < end.date()]


def _compare_window(
    con: duckdb.DuckDBPyConnection,
    name: str,
    table: str,
    source: Source,
    window: tuple[datetime, datetime],
    days: list[date] | None,
) -> tuple[Difference, Difference]:
    """The differences of accepted and of refused rows of one table in a window, or on these days of it."""
    if days:
        window = datetime.combine(days[0], time()), datetime.combine(days[-1], time()) + timedelta(days=1)
    batches = list(source.read(table, *window))
    accepted = pa.concat_tables([raw_table(table).schema.empty_table(), *(b.rows for b in batches)])
    refused = pa.concat_tables([QUARANTINE.schema.empty_table(), *(b.rejected for b in batches)])
    of_source = (
        f"delivered_by = {quoted(name)} and known_at >= {quoted(str(window[0]))}::timestamp"
        f" and known_at < {quoted(str(window[1]))}::timestamp"
    )
    if days:
        of_source += f" and {_DAY} in (select day from {_DAYS} where table_name = {quoted(table)})"
    of_table = f"select * from raw.quarantine where {of_source} and table_name = {quoted(table)}"
    return (
        _compare(con, name, table, table, accepted, _held(con, table, of_source, of_table, accepted)),
        _compare(con, name, table, QUARANTINE.name, refused, of_table),
    )


def _held(
    con: duckdb.DuckDBPyConnection, table: str, of_source: str, refused: str, delivered: pa.Table
) -> str:
    """A query of the rows that the table holds, without those that were let in from quarantine later.

    A source row can be several rows of the table, some of them refused: those that the source gives are held like any.
    """
    names = [name for name in row_key(table) if name != "delivered_by"]
    con.register("delivered_keys", delivered.select(names))
    try:
        con.execute("create or replace temp table given_keys as select distinct * from delivered_keys")
    finally:
        con.unregister("delivered_keys")
    same = " and ".join(f"given.{name} is not distinct from held.{name}" for name in names)
    return f"""
        select held.* from (select * from raw.{table} where {of_source}) as held
        where not exists (
                select 1 from ({refused}) as let_in where status = 'replayed'
                    and let_in.source = held.source and let_in.source_row = held.source_row
            )
            or exists (select 1 from given_keys as given where {same})
    """


def _compare(
    con: duckdb.DuckDBPyConnection, name: str, table: str, relation: str, delivered: pa.Table, held: str
) -> Difference:
    con.register("delivered_rows", delivered)
    try:
        given = in_home_keys(con, relation, "select * from delivered_rows", known_keys(con, name))
        expected = (
            f"select given.*, {quoted(name)} as delivered_by from ({given}) as given join {_DAYS} as d"
            f" on cast(given.known_at as date) = d.day and given.known_at <= d.until"
            f" where d.table_name = {quoted(table)}"
        )
        return compare(con, expected, held, row_key(relation), segment=_DAY, ignored=("status",))
    finally:
        con.unregister("delivered_rows")


def _added(
    con: duckdb.DuckDBPyConnection, comparison: Comparison, relation: str, difference: Difference
) -> Comparison:
    """A comparison with one more window."""
    key = row_key(relation)
    listed = dated(con, f"raw.{relation}", key, difference.rows)
    return comparison.with_difference(difference, listed)
