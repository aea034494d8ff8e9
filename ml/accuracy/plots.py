"""The pictures of the report: small SVGs that read on white and on black, with a text for those who cannot see them.

Here: what is drawn from the document. Not here: how an SVG is made small and the same every time (`ml.accuracy.svg`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ml.accuracy.config import MODEL, SERIES_NAMES
from ml.accuracy.svg import GREEN, INK, MODEL_COLOUR, RIVAL_COLOUR, VIOLET, Axes, Plot, drawing
from ml.accuracy.wording import percent
from ml.text.plot import plot_text

logger = logging.getLogger(__name__)

_COLOURS = (MODEL_COLOUR, RIVAL_COLOUR, GREEN, VIOLET)
_OF_SERIES = {MODEL: MODEL_COLOUR, "med_5": RIVAL_COLOUR, "index": GREEN, "p20_50": VIOLET}


def draw_plots(document: Mapping[str, Any]) -> dict[str, Plot]:
    """Every picture by name; one whose figures are missing (an empty ledger) or that fails contains a text about it.

    Args:
        document: Result of `accuracy_of`.
    """
    headline = document["headline"]
    cells, tolerance = headline["coverage_cells"]["cells"], document["settings"]["coverage_tolerance"]
    draw: dict[str, Callable[[], Plot]] = {
        "collections": lambda: _collections(headline),
        "mape_buckets": lambda: _mape_buckets(headline),
        "premium_tiers": lambda: _premium_tiers(headline["groups"]["premium_tier"]),
        "calibration": lambda: _calibration(headline),
        "coverage_months": lambda: _coverage_months(cells, tolerance),
        "signed_errors": lambda: _signed_errors(headline),
        "learning_curve": lambda: _learning_curve(document["window"]["learning_curve"]),
    }
    return {name: _drawn(name, one) for name, one in draw.items()}


def _drawn(name: str, draw: Callable[[], Plot]) -> Plot:
    """The picture, or an empty one with the error as its text: only this picture is lost, not the report."""
    try:
        return draw()
    except Exception as error:
        logger.warning("The picture %s could not be drawn.", name, exc_info=True)
        with drawing(name, "could not be drawn") as sheet:
            pass
        return sheet.plot(f"The picture {name} could not be drawn: {type(error).__name__}: {error}.")


def _collections(headline: Mapping[str, Any]) -> Plot:
    rows = [row for row in headline["collections"] if row["rivals"]["med_5"] is not None]
    below = sum(row["mdape"] < row["rivals"]["med_5"] for row in rows)
    with drawing("collections", "MdAPE of each collection, %", square=True) as sheet:
        axes = sheet.axes
        for colour, chain in zip(_COLOURS, sorted({row["chain"] or "–" for row in rows}), strict=False):
            part = [row for row in rows if (row["chain"] or "–") == chain]
            axes.plot(
                [100 * row["rivals"]["med_5"] for row in part],
                [100 * row["mdape"] for row in part],
                "o",
                markersize=4,
                alpha=0.7,
                color=colour,
                label=plot_text(chain, 28),
            )
        if rows:
            values = [100 * v for row in rows for v in (row["mdape"], row["rivals"]["med_5"]) if v > 0]
            span = [min(values, default=1), max(values, default=100)]
            axes.plot(span, span, color=INK, linewidth=1, linestyle=":")
            axes.set(xscale="log", yscale="log")
            sheet.plain_ticks()
            axes.legend()
        axes.set(xlabel="median of the last 5", ylabel="Assay")
    return sheet.plot(
        f"Scatter of {len(rows)} collections: error of Assay against error of the median of the last 5. "
        f"{below} lie below the diagonal, where Assay is better."
    )


def _mape_buckets(headline: Mapping[str, Any]) -> Plot:
    rows = headline["mape_buckets"]["buckets"]
    names = [row["bucket"] for row in rows]
    with drawing("mape_buckets", "Collections by MAPE") as sheet:
        below = [0] * len(rows)
        for colour, (chain, part) in zip(_COLOURS, headline["chains"].items(), strict=False):
            counts = [row["collections"] for row in part["mape_buckets"]["buckets"]]
            bars = sheet.axes.bar(
                names, counts, bottom=below, color=colour, width=0.6, label=plot_text(chain, 28)
            )
            below = [low + count for low, count in zip(below, counts, strict=True)]
        if any(below):
            sheet.axes.bar_label(bars, labels=[str(total) for total in below], color=INK, fontsize=8)
            sheet.axes.legend()
        sheet.axes.set_ylabel("collections")
    return sheet.plot(
        "Bars, collections by MAPE: "
        + ", ".join(f"{row['bucket']}: {row['collections']}" for row in rows)
        + "."
    )


def _premium_tiers(groups: Mapping[str, Any]) -> Plot:
    with drawing("premium_tiers", "MdAPE by predicted premium over the floor, % (95 % intervals)") as sheet:
        for number, (name, colour) in enumerate(_OF_SERIES.items()):
            points = [
                (place + 0.14 * (number - 1.5), group["series"][name])
                for place, group in enumerate(groups.values())
                if group["series"][name]["mdape"] is not None
            ]
            _with_intervals(sheet.axes, points, colour, SERIES_NAMES[name], line=False)
        sheet.axes.set_xticks(range(len(groups)), list(groups))
        sheet.axes.set_ylim(bottom=0)
        sheet.axes.legend(ncols=2)
    values = "; ".join(
        f"{tier}: Assay {percent(group['series'][MODEL]['mdape'])}, "
        f"median of 5 {percent(group['series']['med_5']['mdape'])}"
        for tier, group in groups.items()
    )
    return sheet.plot(f"Median error in percent with intervals by tier of predicted premium. {values}.")


def _with_intervals(
    axes: Axes, points: list[tuple[float, Mapping[str, Any]]], colour: str, label: str, *, line: bool
) -> None:
    xs = [x for x, _ in points]
    ys = [100 * group["mdape"] for _, group in points]
    axes.plot(xs, ys, "o-" if line else "o", markersize=5, linewidth=1.3, color=colour, label=label)
    for x, (_, group) in zip(xs, points, strict=True):
        if group["mdape_ci"]:
            axes.plot([x, x], [100 * v for v in group["mdape_ci"]], color=colour, linewidth=1.2)


def _calibration(headline: Mapping[str, Any]) -> Plot:
    groups = {
        **{f"premium {name}": group for name, group in headline["groups"]["premium_tier"].items()},
        **{f"grade {name}": group for name, group in headline["groups"]["grade"].items()},
    }
    with drawing("calibration", "Promised and found coverage, % (95 % intervals)", square=True) as sheet:
        axes = sheet.axes
        axes.plot([75, 95], [75, 95], color=INK, linewidth=1, linestyle=":")
        parts = []
        for number, (name, group) in enumerate(groups.items()):
            colour = MODEL_COLOUR if name.startswith("premium") else RIVAL_COLOUR
            for level, part in group["coverage"].items():
                if part["share"] is None:
                    continue
                x = float(level) + 0.45 * (number - (len(groups) - 1) / 2)
                axes.plot([x], [100 * part["share"]], "o", markersize=4, color=colour)
                axes.plot(
                    [x, x],
                    [100 * v for v in part["share_ci"] or [part["share"]] * 2],
                    color=colour,
                    linewidth=1,
                )
                parts.append(f"{name} {level} %: {percent(part['share'])}")
        axes.plot([], [], "o", color=MODEL_COLOUR, label="tiers of predicted premium, low to high")
        axes.plot([], [], "o", color=RIVAL_COLOUR, label="grades, A to D")
        axes.legend(loc="upper left")
        axes.set(xlabel="promised", ylabel="found", xticks=[80, 90])
    return sheet.plot(f"Coverage found against promised. {', '.join(parts) or 'No intervals'}.")


def _coverage_months(cells: list[dict[str, Any]], tolerance: float) -> Plot:
    months = sorted({cell["month"] for cell in cells})
    with drawing("coverage_months", "Coverage by month and predicted premium, %") as sheet:
        axes = sheet.axes
        for level in sorted({cell["level"] for cell in cells}):
            axes.axhspan(
                100 * (level - tolerance), 100 * (level + tolerance), color=INK, alpha=0.18, linewidth=0
            )
        for colour, tier in zip(
            _COLOURS, dict.fromkeys(cell["premium_tier"] for cell in cells), strict=False
        ):
            for level, style in ((0.8, "o-"), (0.9, "s--")):
                part = [cell for cell in cells if cell["premium_tier"] == tier and cell["level"] == level]
                places = [months.index(cell["month"]) for cell in part]
                shares = [100 * cell["share"] for cell in part]
                axes.plot(
                    places, shares, style, markersize=3, linewidth=1, color=colour,
                    label=f"{tier}, {100 * level:.0f} %",
                )  # fmt: skip
        if months:
            axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.1))
            step = max(len(months) // 6, 1)
            axes.set_xticks(range(0, len(months), step), months[::step])
    outside = sum(not cell["within_tolerance"] for cell in cells)
    return sheet.plot(
        f"Coverage of the 80 and 90 % intervals over {len(months)} months by tier of predicted premium; {outside} of "
        f"{len(cells)} points lie outside ±{100 * tolerance:.0f} points."
    )


def _signed_errors(headline: Mapping[str, Any]) -> Plot:
    signed, bands = headline["signed_errors"], headline["interval_bands"]
    with drawing("signed_errors", "Where prices fell, % of sales", panels=2) as sheet:
        left, right = sheet.panels
        edges = [100 * edge for edge in signed["edges"]]
        left.bar(
            edges[:-1],
            [100 * s for s in signed["share"]],
            width=edges[1] - edges[0],
            align="edge",
            color=MODEL_COLOUR,
        )
        left.axvline(0, color=INK, linewidth=1)
        left.set_xlabel("estimate / price − 1, %, clipped at ±100")
        names = ["<90", "90–80", "80, low", "80, high", "80–90", ">90"]
        right.bar(
            names,
            [100 * (band["share"] or 0.0) for band in bands],
            color=MODEL_COLOUR,
            width=0.6,
            label="found",
        )
        right.plot(
            names,
            [100 * band["nominal"] for band in bands],
            "_",
            markersize=22,
            color=RIVAL_COLOUR,
            label="promised",
        )
        right.set_xlabel("band of the interval the price fell into")
        right.legend()
    found = ", ".join(
        f"{band['band']} {percent(band['share'])} (promised {percent(band['nominal'])})" for band in bands
    )
    return sheet.plot(f"Left: histogram of signed errors. Right: {found}.")


def _learning_curve(curve: list[dict[str, Any]]) -> Plot:
    with drawing("learning_curve", "MdAPE by sales visible before, % (95 % intervals)") as sheet:
        for name in (MODEL, "med_5", "index"):
            points = [(float(i), row[name]) for i, row in enumerate(curve) if row[name]["mdape"] is not None]
            _with_intervals(sheet.axes, points, _OF_SERIES[name], SERIES_NAMES[name], line=True)
        if curve:
            sheet.axes.set_xticks(range(len(curve)), [row["sales_seen"] for row in curve], rotation=30)
            sheet.axes.set_ylim(bottom=0)
            sheet.axes.legend()
    ends = [row for row in (curve[:1] + curve[-1:]) if row[MODEL]["mdape"] is not None]
    values = ", ".join(f"{percent(row[MODEL]['mdape'])} at {row['sales_seen']} sales" for row in ends)
    return sheet.plot(f"Median error against the number of sales known: Assay {values or 'without figures'}.")
