"""Collections whose rows break a rule are set aside, so that they do not stop the others.

Here: finding them by the rules of a table, taking their rows out, and keeping a record. Not here: what is said about
them (`orchestration.predictions.set_aside`), faults of a whole table (its blocking checks).

Concept: a collection that is set aside is computed again by each run of its stage, because its rows are also taken out
of the state of the table. So the records of a stage are those of its newest run: the first run in which the rows keep
the rules ends the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb

from lake.tables import ColumnRule, Table
from ml.tables.ops import SET_ASIDE


@dataclass(frozen=True)
class SetAside:
    """What was taken out of a table: collections, and all of their rows."""

    collections: int
    rows: int


def set_aside(con: duckdb.DuckDBPyConnection, table: Table, as_of: datetime) -> SetAside:
    """Take the rows of collections that break a rule out of a table and its state, in the caller's transaction.

    Call it in the transaction that has brought the table up to date: the records of the stage are written anew.

    Args:
        con: A write connection.
        table: A table with rules; it and the tables of its state have a column `collection`.
        as_of: Time of the data; written to collections that were not set aside before.

    Returns:
        What was taken out now.
    """
    con.execute(
        f"""
        create or replace temp table set_aside_now as
        select collection, count(*) as rows, min(broken) as broken
        from (
            select collection, {{'rule': case {_number(table.rules)} end, 'value': case {_value(table.rules)} end}}
                as broken
            from {table.name} where {table.broken}
        )
        group by collection
        """
    )
    theirs = "collection in (select collection from set_aside_now)"
    taken = con.execute(f"delete from {table.name} where {theirs}").fetchone()
    for state in table.state:
        con.execute(f"delete from {state} where ({table.state_rows}) and {theirs}")
    names = [rule.name for rule in table.rules]
    expected = [_expected(rule) for rule in table.rules]
    con.execute(
        f"""
        create or replace temp table set_aside_records as
        select $stage as stage, collection, coalesce(before.as_of, $as_of::timestamp) as as_of, now.rows,
            ($names)[broken.rule + 1] as column_name, broken.value as value, ($expected)[broken.rule + 1] as expected
        from set_aside_now as now
        left join (select collection, as_of from {SET_ASIDE.name} where stage = $stage) as before using (collection)
        """,
        {"stage": table.name, "as_of": as_of, "names": names, "expected": expected},
    )
    con.execute(f"delete from {SET_ASIDE.name} where stage = $1", [table.name])
    found = con.execute(f"insert into {SET_ASIDE.name} by name from set_aside_records").fetchone()
    con.execute("drop table temp.set_aside_now")
    con.execute("drop table temp.set_aside_records")
    return SetAside(int(found[0]) if found else 0, int(taken[0]) if taken else 0)


def collections_aside(table: Table) -> str:
    """Query for the collections that are set aside at the stage of a table."""
    return f"select collection from {SET_ASIDE.name} where stage = '{table.name}'"


def _number(rules: tuple[ColumnRule, ...]) -> str:
    """Number of the first rule that a row breaks."""
    return " ".join(f"when {rule.broken} then {number}" for number, rule in enumerate(rules))


def _value(rules: tuple[ColumnRule, ...]) -> str:
    """Value that breaks that rule."""
    return " ".join(f'when {rule.broken} then "{rule.name}"::varchar' for rule in rules)


def _expected(rule: ColumnRule) -> str:
    if rule.low is not None:
        return f"a number from {rule.low:g} to {rule.high:g}"
    return f"one of {', '.join(rule.allowed)}" if rule.allowed else "a value"
