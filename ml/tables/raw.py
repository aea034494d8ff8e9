"""Schemas `raw` and `truth`: made from the contract of the sources, which declares them.

A row of `raw` also names the configured source that delivered it; the source itself does not know its name.
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from lake.tables import Column, ColumnRule, Table, sql_type
from sources.contract import QUARANTINE, RAW_TABLES, TRUTH_TABLES, RawTable

_BY_DAY = "per source and day of arrival (`known_at`)"
_DELIVERED_BY = Column(
    "delivered_by",
    "varchar",
    "Name of the configured source that delivered the row (ops.sources); never null",
)


def _table(schema: str, contract: RawTable, replaced: str) -> Table:
    columns = tuple(
        Column(
            c.name,
            sql_type(c.dtype),
            ": ".join(filter(None, (c.description, ", ".join(c.allowed))))
            + ("; never null" if c.required else ""),
        )
        for c in contract.columns
    )
    rules = tuple(
        # Numbers are finite.
        ColumnRule(c.name, c.required, c.allowed, *((-1e300, 1e300) if c.dtype == pa.float64() else ()))
        for c in contract.columns
    )
    name = f"{schema}.{contract.name}"
    return Table(name, f"{contract.description}.", contract.key, replaced, columns, rules=rules)


def _delivered(table: Table, *key: str) -> Table:
    """The same table, each row with the source that delivered it."""
    return replace(
        table,
        key=(*table.key, *key),
        columns=(*table.columns, _DELIVERED_BY),
        rules=(*table.rules, ColumnRule(_DELIVERED_BY.name, required=True)),
    )


TABLES = (
    *(_delivered(_table("raw", contract, _BY_DAY)) for contract in RAW_TABLES.values()),
    _delivered(_table("raw", QUARANTINE, f"{_BY_DAY} and raw table"), _DELIVERED_BY.name),
    *(_table("truth", contract, "as a whole") for contract in TRUTH_TABLES.values()),
)
