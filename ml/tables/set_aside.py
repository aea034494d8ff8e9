"""Collections whose rows break a rule are set aside, so that they do not stop the others.

Here: finding them by the rules of a table, taking their rows out, and keeping a record. Not here: what is said about
them (`orchestration.predictions.set_aside`), faults of a whole table (its blocking checks).
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from lake.tables import ColumnRule, Table
from ml.tables.ops import SET_ASIDE


def set_aside(con: duckdb.DuckDBPyConnection, table: Table, as_of: datetime) -> int:
    """Take the rows of collections that break a rule out of a table, in the caller's transaction.

    A record ends when the table has rows of the collection again: they were computed anew and keep the rules.

    Args:
        con: A write connection.
        table: A table with a column `collection`, and rules.
        as_of: Time of the data.

    Returns:
        Collections that were set aside now.
    """
    column = " ".join(f"when {rule.broken} then {number}" for number, rule in enumerate(table.rules))
    con.execute(
        f"""
        create or replace temp table set_aside_now as
        select collection, count(*) as rows, any_value(_rule) as _rule, any_value(_value) as value
        from (
            select collection, case {column} end as _rule, case {_values(table.rules)} end as _value
            from {table.name} where {table.broken}
        )
        group by collection
        """
    )
    con.execute(f"delete from {table.name} where collection in (select collection from set_aside_now)")
    con.execute(
        f"""
        delete from {SET_ASIDE.name} where stage = $stage and (
            collection in (select collection from set_aside_now)
            or collection in (select distinct collection from {table.name})
        )
        """,
        {"stage": table.name},
    )
    names = [rule.name for rule in table.rules]
    expected = [_expected(rule) for rule in table.rules]
    found = con.execute(
        f"""
        insert into {SET_ASIDE.name} by name
        select $stage as stage, collection, $as_of::timestamp as as_of, rows, ($names)[_rule + 1] as column_name,
            value, ($expected)[_rule + 1] as expected
        from set_aside_now
        """,
        {"stage": table.name, "as_of": as_of, "names": names, "expected": expected},
    ).fetchone()
    con.execute("drop table temp.set_aside_now")
    return int(found[0]) if found else 0


def _values(rules: tuple[ColumnRule, ...]) -> str:
    return " ".join(f'when {rule.broken} then "{rule.name}"::varchar' for rule in rules)


def _expected(rule: ColumnRule) -> str:
    if rule.low is not None:
        return f"a number from {rule.low:g} to {rule.high:g}"
    return f"one of {', '.join(rule.allowed)}" if rule.allowed else "a value"
