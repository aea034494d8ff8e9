"""Data dictionary: every table and column, with unit, example, lineage and freshness; searched by any word."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from serving.dashboard.choosing import asked, begin, remember
from serving.dashboard.data import Published
from serving.dashboard.layout import facts, heading, notice, section
from serving.dashboard.text import NONE, count, literal, minute, plain

SHOWN = 300
DEFAULT = "predictions.token_estimates"


def show(published: Published) -> None:
    """The page."""
    tables = published.dictionary()
    columns = sum(len(table["columns"]) for table in tables)
    heading("Data dictionary")
    st.html(
        f'<div class="a-sub"><span data-figure="tables">{len(tables)}</span> tables, {columns:,} columns: what they '
        "mean, their units, and where they come from</div>"
    )
    searched = st.text_input("Search tables and columns", placeholder="for example: interval, owner, ln ETH")
    if searched.strip():
        _found(tables, searched)
    names = [table["table"] for table in tables]
    wanted = asked("table")
    begin("table", "table", wanted if wanted in names else None, DEFAULT)
    chosen = st.selectbox("Table", names, key="table")
    remember(table=chosen)
    _table(next(table for table in tables if table["table"] == chosen))


def _found(tables: list[dict[str, Any]], searched: str) -> None:
    parts = searched.lower().split()
    hits = [
        (table, column)
        for table in tables
        for column in table["columns"]
        if _has(parts, table["table"], column["name"], column["description"], column["unit"], column["type"])
    ]
    section(count(len(hits), "column") if hits else "No column", f"with: {searched}")
    if not hits:
        notice("quiet", "No column has all of these words", "Try fewer of them, or a part of a word.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "table": [table["table"] for table, _ in hits[:SHOWN]],
                "column": [column["name"] for _, column in hits[:SHOWN]],
                "unit": [column["unit"] for _, column in hits[:SHOWN]],
                "meaning": [column["description"] for _, column in hits[:SHOWN]],
                "example": [plain(column["example"] or "") for _, column in hits[:SHOWN]],
            }
        ),
        hide_index=True,
        placeholder=NONE,
        height=min(38 + 35 * len(hits), 320),
        column_config=_titles(table="Table"),
    )


def _has(parts: list[str], *texts: str) -> bool:
    whole = " ".join(texts).lower()
    return all(part in whole for part in parts)


def _table(table: dict[str, Any]) -> None:
    section(table["table"])
    st.html(f'<div class="a-sub">{literal(table["description"], 600)}</div>')
    rows = NONE if table["rows"] is None else f"{table['rows']:,}"
    at = minute(table["newest"]) if "T" in (table["newest"] or "") else table["newest"] or NONE
    newest = f"of {literal(table['newest_of'])}" if table["newest_of"] else ""
    st.html(
        facts(
            [
                ("Rows", rows, literal(table["kind"])),
                ("Newest", literal(at), newest),
                ("Key", literal(", ".join(table["key"]) or NONE, 200), ""),
                ("Replaced", literal(table["replaced"] or "by dbt", 200), ""),
            ]
        )
    )
    _lineage(table)
    st.dataframe(
        pd.DataFrame(
            {
                "column": [column["name"] for column in table["columns"]],
                "type": [column["type"] for column in table["columns"]],
                "unit": [column["unit"] for column in table["columns"]],
                "meaning": [column["description"] for column in table["columns"]],
                "example": [plain(column["example"] or "") for column in table["columns"]],
            }
        ),
        hide_index=True,
        placeholder=NONE,
        height=38 + 35 * max(len(table["columns"]), 1),
        column_config=_titles(type="Type"),
    )


def _lineage(table: dict[str, Any]) -> None:
    parts = [("Made from", table["upstream"]), ("Used by", table["downstream"])]
    st.html(
        "".join(
            f'<div class="a-sub" style="opacity:1;margin:.15rem 0"><span style="opacity:.68">{label}</span> '
            + (
                " ".join(
                    f'<a class="a-chip" href="/dictionary?table={literal(name)}" target="_self" '
                    f'style="text-decoration:none;color:inherit">{literal(name)}</a>'
                    for name in names
                )
                or "no other table"
            )
            + "</div>"
            for label, names in parts
        )
    )


def _titles(**more: str) -> dict[str, Any]:
    return {
        **more,
        "column": "Column",
        "unit": "Unit",
        "meaning": st.column_config.TextColumn("Meaning", width="large"),
        "example": "Example",
    }
