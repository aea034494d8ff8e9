"""The columns that each column of a mart is computed from, as the interface shows it.

Here: reading what was traced. Not here: tracing (`orchestration.marts.trace_columns`).
"""

from __future__ import annotations

import hashlib
import json
from functools import cache

import dagster as dg

from orchestration.resources import DBT_PROJECT
from sources.contract import RAW_TABLES

FILE = DBT_PROJECT / "column_lineage.json"

LISTED = 6
"""Columns that a description names; an identifier is made of more."""

Lineage = dict[str, list[str]]
"""Column → the columns it comes from, as `schema.table.column`."""


@cache
def traced() -> dict[str, Lineage]:
    """`schema.table` of each model → its columns."""
    found: dict[str, Lineage] = json.loads(FILE.read_bytes())["columns"]
    return found


def text_of_models() -> dict[str, str]:
    """Digest of each file that a trace depends on, by its path in the project."""
    files = [*(DBT_PROJECT / "models").rglob("*.sql"), *(DBT_PROJECT / "macros").rglob("*.sql")]
    return {
        str(file.relative_to(DBT_PROJECT)): hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        for file in sorted(files)
    }


def origins_of(table: str, column: str) -> list[str]:
    """The columns that a column is computed from, as `schema.table.column`; not those of the table itself.

    A later build reads the table itself; that says nothing of where a value comes from.
    """
    origins = traced().get(table, {}).get(column, [])
    return [origin for origin in origins if not origin.startswith(f"{table}.")]


def described(table: str, column: str, description: str) -> str:
    """A column's description and what it is computed from: Dagster's open-source interface shows no lineage."""
    origins = [origin.partition(".")[2] for origin in origins_of(table, column)]
    if not origins:
        return description
    more = f" and {len(origins) - LISTED} more" if len(origins) > LISTED else ""
    return f"{description.rstrip('. ')}. From {', '.join(origins[:LISTED])}{more}."


def lineage_metadata(table: str) -> dict[str, dg.TableColumnLineage]:
    """The same for programs, and for interfaces that show it; without tables that are no assets, as bookkeeping."""
    assets = assets_by_table()
    deps = {
        column: [
            dg.TableColumnDep(assets[name], origin)
            for name, _, origin in (found.rpartition(".") for found in origins_of(table, column))
            if name in assets
        ]
        for column in traced().get(table, {})
    }
    shown = {column: found for column, found in deps.items() if found}
    return {"dagster/column_lineage": dg.TableColumnLineage(shown)} if shown else {}


def assets_by_table() -> dict[str, dg.AssetKey]:
    """`schema.table` of each mart, and of each raw table → its asset."""
    raw = {f"raw.{name}": dg.AssetKey(f"raw_{name}") for name in RAW_TABLES}
    return {**raw, **{name: dg.AssetKey(name.partition(".")[2]) for name in traced()}}
