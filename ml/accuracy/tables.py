"""The tables that several sections of the report share, and what a section is made of.

Here: sections and tables as plain text, and the three tables with many columns. Not here: which section holds which
(`ml.accuracy.content`), markup (`ml.accuracy.pages`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml.accuracy.config import MODEL, SERIES_NAMES
from ml.accuracy.wording import ci, decimal, percent, whole

DIMENSION_TITLES = {
    "premium_tier": "predicted premium over the floor proxy",
    "sales_seen": "sales of the collection visible before",
    "days_since_sale": "time since the collection's last sale",
    "listed": "listed or not",
    "tier": "tier of the answer",
    "grade": "confidence grade",
    "month": "month",
}
_LONG = {"month"}


@dataclass(frozen=True)
class Table:
    """A table of ready text; `folded` ones open on a click."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A heading with text, pictures (by name) and tables."""

    title: str
    text: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


def error_table(title: str, part: Mapping[str, Any]) -> Table:
    """All metrics of every series over one sample (pooled figures and the collections' contest)."""
    columns = (
        "estimate",
        "MdAPE % (95 %)",
        "MAPE %",
        "P95 %",
        "within 10 %",
        "within 20 %",
        "level",
        "COD",
        "PRD",
        "FSD",
        "MdAPE %, median collection",
        "n",
    )
    medians = part["contest"]["median_mdape"]
    rows = tuple(
        (
            SERIES_NAMES[name],
            f"{percent(row['mdape'])} ({ci(row['mdape_ci'])})",
            percent(row["mape"]),
            percent(row["p95"]),
            percent(row["ppe10"]),
            percent(row["ppe20"]),
            decimal(row["level"]),
            decimal(row["cod"], 1),
            decimal(row["prd"]),
            decimal(row["fsd"], 2),
            percent(medians[name]),
            whole(row["n"]),
        )
        for name, row in part["pooled"]["series"].items()
    )
    return Table(title, columns, rows)


def group_table(sample: Mapping[str, Any], dimension: str, where: str = "") -> Table:
    """Model and baselines in every group of a dimension; `where` ends the title."""
    columns = (
        DIMENSION_TITLES[dimension],
        "n",
        "answered %",
        "MdAPE % (95 %)",
        "MAPE %",
        "within 20 %",
        "level",
        "PRD",
        "index",
        "median of 30",
        "median of 5",
        "gain on median of 5, points (95 %)",
        "in 80 %",
        "in 90 %",
        "width of 80 %",
    )
    rows = tuple(_group_row(name, group) for name, group in sample["groups"][dimension].items())
    return Table(f"By {DIMENSION_TITLES[dimension]}{where}", columns, rows, folded=dimension in _LONG)


def _group_row(name: str, group: Mapping[str, Any]) -> tuple[str, ...]:
    series = group["series"]
    model, five = series[MODEL], series["med_5"]
    floor = group.get("prd_floor")
    gain = "–"
    if model["mdape"] is not None and five["mdape"] is not None:
        gain = f"{percent(five['mdape'] - model['mdape'])} ({ci(five.get('mdape_gain_ci'))})"
    return (
        name,
        whole(group["n"]),
        percent(group["hit_rate"]),
        f"{percent(model['mdape'])} ({ci(model['mdape_ci'])})",
        percent(model["mape"]),
        percent(model["ppe20"]),
        decimal(model["level"]),
        decimal(model["prd"]) + (f" (floor {decimal(floor['prd'])})" if floor else ""),
        percent(series["index"]["mdape"]),
        percent(series["med_30"]["mdape"]),
        percent(five["mdape"]),
        gain,
        percent(group["coverage"]["80"]["share"]),
        percent(group["coverage"]["90"]["share"]),
        percent(group["coverage"]["80"]["width"]),
    )


def collection_table(rows: list[dict[str, Any]]) -> Table:
    """Model and baselines in every group of a dimension; `where` ends the title."""
    columns = (
        "collection", "chain", "n", "MdAPE % (95 %)", "MAPE %", "within 20 %", "level", "median of 5",
        "best simple", "in 80 %", "in 90 %",
    )  # fmt: skip
    return Table(
        f"{whole(len(rows))} collections of the headline sample, the largest first",
        columns,
        tuple(
            (
                row["collection"],
                row["chain"] or "–",
                whole(row["n"]),
                f"{percent(row['mdape'])} ({ci(row['mdape_ci'])})",
                percent(row["mape"]),
                percent(row["ppe20"]),
                decimal(row["level"]),
                percent(row["rivals"]["med_5"]),
                percent(row["rivals"]["best_simple"]),
                percent(row["coverage"]["80"]),
                percent(row["coverage"]["90"]),
            )
            for row in rows
        ),
        folded=True,
    )
