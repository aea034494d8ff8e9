"""The data dictionary: every table and column with description, unit, example, lineage and freshness, as plain data.

Here: the registry of tables joined with dbt's manifest, and what a lake says about each table. Not here: who shows it
(`serving.dashboard`), or the same as pages of the documentation (`ml.tables.document`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from lake.catalog import smallest_values
from lake.tables import Table
from ml.tables.registry import TABLES
from ml.text.visible import shortened, visible

EXAMPLE_CHARACTERS = 60

_TIMES = (
    *("known_at", "evaluated_at", "window_end", "as_of", "day", "decided_at", "measured_at", "last_seen"),
    *("state_known_at", "covered_until", "trained_until", "event_time", "newest_at"),
)
"""Columns that say how new a row is; the first that a table has is taken."""

_NUMBERS = ("double", "float", "integer", "bigint", "ubigint", "hugeint", "decimal")

_UNITS = (
    (re.compile(r"^Standard deviations\b"), "sd"),
    (re.compile(r"\bln ETH\b"), "ln ETH"),
    (re.compile(r"\bln²"), "ln²"),
    (re.compile(r"\bETH\b"), "ETH"),
    (re.compile(r"\bUS dollars?\b|\bUSD\b"), "USD"),
    (re.compile(r"\bunits of the currency\b"), "currency"),
    (re.compile(r"\bln\b"), "ln"),
    (re.compile(r"\bfraction\b|^Share of\b|\b0 to 1\b"), "fraction"),
    # Sales of 30 days are no days: a length of time begins the description, or ends a part of it.
    (re.compile(r"^Seconds\b|(, |\bin )seconds\b"), "s"),
    (re.compile(r"^Hours\b|(, |\bin )hours\b"), "h"),
    (re.compile(r"^(Whole d|D)ays\b|(, |\bin )days\b"), "days"),
)
"""The unit of a number, by the words of its description: the first that is found."""


def dictionary(
    con: duckdb.DuckDBPyConnection,
    manifest: Mapping[str, Any] | None = None,
    made_from: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """All tables by name, those of dbt that are no tables of the lake's registry among them.

    Args:
        con: A read connection of the lake. The example of a column is its smallest value, as text.
        manifest: dbt's manifest; without it the models of dbt that are not in the registry are left out.
        made_from: Tables that a table is computed from, of those that dbt does not build.

    Returns:
        {table, description, key, replaced, kind, rows, newest, newest_of, upstream, downstream, columns: [{name, type,
        description, unit, required, example}]} of each.
    """
    models = _dbt_models(manifest or {})
    states, examples = _states(con), smallest_values(con)
    found = {
        table.name: _of_registry(table, states[table.name], examples.get(table.name, {})) for table in TABLES
    }
    for name, model in models.items():
        if name not in found:
            found[name] = _of_dbt(name, model)
        found[name]["upstream"] = model["upstream"]
    for name, upstream in (made_from or {}).items():
        if name in found and name not in models:
            found[name]["upstream"] = list(upstream)
    for name, entry in found.items():
        entry["upstream"] = sorted({parent for parent in entry["upstream"] if parent in found} - {name})
    for name, entry in found.items():
        for parent in entry["upstream"]:
            found[parent]["downstream"].append(name)
    return [found[name] for name in sorted(found)]


def unit_of(column_type: str, description: str) -> str:
    """The unit of a column: UTC of a time, what the description says of a number, and nothing of anything else."""
    base = column_type.lower().removesuffix("[]").split("(")[0]
    if base in ("timestamp", "date"):
        return "UTC" if base == "timestamp" else "UTC day"
    if base not in _NUMBERS:
        return ""
    return next((unit for words, unit in _UNITS if words.search(description)), "")


def _states(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, str | None]]:
    """Rows and newest time of every table; one statement, because planning costs more than reading."""
    questions = [f"select '{table.name}', count(*), {_newest(table)} from {table.name}" for table in TABLES]
    return {
        name: (rows, newest) for name, rows, newest in con.execute(" union all ".join(questions)).fetchall()
    }


def _newest(table: Table) -> str:
    """SQL of the newest time of a table: ISO 8601 with Z, or a day."""
    time = _time_of(table)
    if time is None:
        return "null"
    kind = next(column.type for column in table.columns if column.name == time)
    return f"max({time})::varchar" if kind == "date" else f"strftime(max({time}), '%Y-%m-%dT%H:%M:%SZ')"


def _time_of(table: Table) -> str | None:
    return next((name for name in _TIMES if name in table.column_names), None)


def _of_registry(table: Table, state: tuple[int, str | None], examples: Mapping[str, str]) -> dict[str, Any]:
    rows, newest = state
    return {
        "table": table.name,
        "description": table.description,
        "key": list(table.key),
        "replaced": table.replaced,
        "kind": "table",
        "rows": rows,
        "newest": newest,
        "newest_of": _time_of(table),
        "upstream": [],
        "downstream": [],
        "columns": [
            _column(
                column.name,
                column.type,
                column.description,
                examples.get(column.name) if rows else None,
                required=column.required,
            )
            for column in table.columns
        ],
    }


def _of_dbt(name: str, model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "table": name,
        "description": model["description"],
        "key": [],
        "replaced": "",
        "kind": model["kind"],
        "rows": None,
        "newest": None,
        "newest_of": None,
        "upstream": [],
        "downstream": [],
        "columns": [
            _column(column["name"], column["data_type"] or "", column["description"], None, required=False)
            for column in model["columns"]
        ],
    }


def _column(name: str, kind: str, description: str, example: str | None, *, required: bool) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "description": description,
        "unit": unit_of(kind, description),
        "required": required,
        "example": None if example is None else visible(shortened(example, EXAMPLE_CHARACTERS)),
    }


def _dbt_models(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Models by `schema.name`, with the tables that each reads."""
    nodes: dict[str, Any] = {**manifest.get("nodes", {}), **manifest.get("sources", {})}
    names = {
        identifier: f"{node['schema']}.{node.get('identifier') or node['name']}"
        for identifier, node in nodes.items()
        if node["resource_type"] in ("model", "source")
    }
    return {
        names[identifier]: {
            "description": " ".join(node["description"].split()),
            "kind": node["config"]["materialized"],
            "upstream": [names[parent] for parent in node["depends_on"]["nodes"] if parent in names],
            "columns": list(node["columns"].values()),
        }
        for identifier, node in nodes.items()
        if node["resource_type"] == "model"
    }
