"""Schemas `raw` and `truth`: made from the contract of the sources, which declares them."""

from __future__ import annotations

import pyarrow as pa

from lake.tables import Column, ColumnRule, Table, sql_type
from sources.contract import QUARANTINE, RAW_TABLES, TRUTH_TABLES, RawTable

_BY_DAY = "per day of arrival (`known_at`)"


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


TABLES = (
    *(_table("raw", contract, _BY_DAY) for contract in RAW_TABLES.values()),
    _table("raw", QUARANTINE, f"{_BY_DAY} and raw table"),
    *(_table("truth", contract, "as a whole") for contract in TRUTH_TABLES.values()),
)
