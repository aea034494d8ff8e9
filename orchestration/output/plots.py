"""Pictures in asset metadata: small PNGs, embedded in Markdown so that they need no file server.

Here: drawing from a DuckDB connection or arrays, and going on without a picture that fails. Not here: computing what
is drawn (`ml.metrics`).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np

from ml.states import TrialState
from ml.text.markdown import markdown_text
from ml.text.plot import plot_text
from orchestration.output.masking import masked

if TYPE_CHECKING:
    import duckdb
    from matplotlib.figure import Figure

INK, ACCENT, SOFT = "#1f2430", "#3b6fd4", "#b9c4d6"


def drawn(what: str, draw: Callable[[], dg.MarkdownMetadataValue]) -> dg.MarkdownMetadataValue:
    """The picture, or a text why there is none: a picture that fails does not fail its asset.

    Call it outside of a transaction that writes: an error of SQL would end that too.

    Args:
        what: What is shown, as the beginning of a sentence.
        draw: Draws it.
    """
    try:
        return draw()
    except Exception as error:  # noqa: BLE001 - any error is shown in place of the picture
        dg.get_dagster_logger().warning(f"{what} could not be drawn; the asset goes on.", exc_info=True)
        why = markdown_text(masked(f"{type(error).__name__}: {error}"))
        return dg.MetadataValue.md(
            f"{what} could not be drawn: {why}. The traceback is in the log of the run."
        )


def _figure(title: str) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    # Fixed margins: to fit them to the texts, Matplotlib would draw everything once more.
    figure = Figure(figsize=(7, 3.2), dpi=80)
    figure.subplots_adjust(left=0.1, bottom=0.18, right=0.98, top=0.9)
    axes = figure.subplots()
    axes.set_title(plot_text(title), fontsize=10, color=INK, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure, axes


def _dated(axes: Any) -> None:
    """Dates below the axis, as short as they are clear: years, months or days."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.xaxis.get_offset_text().set_fontsize(8)


def _plain_log(axes: Any) -> None:
    """A log scale with numbers as people write them: 0.5, 1, 2, 5, 10."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _embed(figure: Figure) -> dg.MarkdownMetadataValue:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return dg.MetadataValue.md(
        f"![plot](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
    )


def index_plot(con: duckdb.DuckDBPyConnection, collections: int = 6) -> dg.MarkdownMetadataValue:
    """The index level of the collections with the most sales, weekly, in ETH (log axis)."""
    rows = con.execute(
        """
        with largest as (
            select collection from features.hedonic_index group by all order by count(*) desc, collection limit ?
        )
        select collection, date_trunc('week', as_of) as week, exp(median(a_level)) as level
        from features.hedonic_index semi join largest using (collection)
        where a_level is not null
        group by all order by all
        """,
        [collections],
    ).df()
    figure, axes = _figure("Price index level, ETH (largest collections)")
    for name in rows["collection"].unique():
        part = rows[rows["collection"] == name]
        axes.plot(part["week"], part["level"], linewidth=1.2, label=plot_text(str(name), 28))
    if len(rows):
        _plain_log(axes)
        _dated(axes)
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom * (bottom / top) ** 0.35, top)  # room for the legend
        axes.legend(fontsize=7, frameon=False, ncols=2, loc="lower left")
    axes.set_ylabel("ETH, log scale", fontsize=8)
    return _embed(figure)


def bucket_plot(con: duckdb.DuckDBPyConnection) -> dg.MarkdownMetadataValue:
    """Models by bucket of their weekly mean error, stacked, from monitoring.mape_buckets."""
    rows = con.execute(
        "select window_start, bucket_number, bucket, models from monitoring.mape_buckets order by 1, 2"
    ).df()
    figure, axes = _figure("Models by mean absolute percentage error of the week")
    if len(rows):
        wide = rows.pivot_table(index="window_start", columns="bucket_number", values="models", fill_value=0)
        names = dict(zip(rows["bucket_number"], rows["bucket"], strict=True))
        shades = [str(shade) for shade in np.linspace(0.85, 0.15, len(wide.columns))]
        axes.stackplot(
            wide.index, wide.to_numpy().T, labels=[names[n] for n in wide.columns], colors=shades, step="post"
        )
        axes.legend(fontsize=7, ncols=4, frameon=False, loc="upper left")
        axes.set_ylim(0, 1.25 * wide.sum(axis=1).max())  # room for the legend
        axes.yaxis.get_major_locator().set_params(integer=True)
        _dated(axes)
    axes.set_ylabel("models", fontsize=8)
    axes.set_xlabel("week beginning", fontsize=8)
    return _embed(figure)


def value_by_day(days: Sequence[tuple[date, float]]) -> dg.MarkdownMetadataValue:
    """The value of the wallets that changed on each day, ETH."""
    figure, axes = _figure("Value of the wallets whose value changed on the day, ETH")
    axes.plot([day for day, _ in days], [value for _, value in days], color=ACCENT, marker="o", markersize=3)
    axes.set_ylabel("ETH", fontsize=8)
    axes.set_ylim(bottom=0)
    if days:
        _dated(axes)
    return _embed(figure)


def survival_plot(
    days: np.ndarray, bounds: Mapping[str, np.ndarray], target: float
) -> dg.MarkdownMetadataValue:
    """The bound of the share of differing rows by days since they were compared, and the share that is promised.

    Args:
        days: Days.
        bounds: Source → the bound at each.
        target: What is promised.
    """
    figure, axes = _figure(
        "Share of rows that may differ, by days since they were compared (95 % confidence)"
    )
    for place, (source, bound) in enumerate(bounds.items()):
        axes.plot(days, bound, label=plot_text(source), color=ACCENT if place == 0 else None)
    if len(bounds) > 1:
        axes.legend(fontsize=8, frameon=False)
    axes.axhline(target, color=INK, linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    axes.set_xlabel("days", fontsize=8)
    return _embed(figure)


def error_histogram(log_errors: np.ndarray) -> dg.MarkdownMetadataValue:
    """Estimate / price − 1 in percent, clipped at ±100 %."""
    figure, axes = _figure("Estimate error, % of price (walk-forward)")
    percent = np.clip(100 * np.expm1(log_errors), -100, 100)
    axes.hist(percent, bins=60, color=ACCENT)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_ylabel("sales", fontsize=8)
    axes.set_xlabel("estimate / price − 1, %; beyond ±100 % at the edges", fontsize=8)
    return _embed(figure)


def study_plot(
    title: str, trials: Sequence[tuple[int, float | None, str]], importance: Mapping[str, float]
) -> dg.MarkdownMetadataValue:
    """The history of a study and what mattered in it.

    Args:
        title: What was tuned.
        trials: number, mean |log error| (None without one), state; in order. Pruned trials show what they had.
        importance: setting to its share in explaining the error; may be empty.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), dpi=80, layout="constrained")
    history, bars = figure.subplots(1, 2, width_ratios=(3, 2))
    history.set_title(plot_text(title), fontsize=10, color=INK, loc="left")
    for state, colour, marker in ((TrialState.COMPLETE, ACCENT, "o"), (TrialState.PRUNED, SOFT, "x")):
        shown = [(number, value) for number, value, how in trials if how == state and value is not None]
        history.scatter(
            *zip(*shown, strict=True) if shown else ([], []), c=colour, marker=marker, s=18, label=state
        )
    complete = [
        (number, value) for number, value, how in trials if how == TrialState.COMPLETE and value is not None
    ]
    if complete:
        best = np.minimum.accumulate([value for _, value in complete])
        history.step(
            [number for number, _ in complete], best, where="post", color=INK, linewidth=1, label="best"
        )
        history.axhline(complete[0][1], color=SOFT, linewidth=0.8, linestyle=":", label="in force")
    history.set_xlabel("trial", fontsize=8)
    history.set_ylabel("mean |log error|", fontsize=8)
    history.legend(fontsize=7, frameon=False)
    ranked = sorted(importance.items(), key=lambda item: item[1])
    bars.barh([name for name, _ in ranked], [share for _, share in ranked], color=ACCENT)
    bars.set_title("importance, share" if ranked else "too few trials for importances", fontsize=8, color=INK)
    for axes in (history, bars):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    return _embed(figure)


def calibration_plot(
    error_log: np.ndarray, half_widths: Mapping[float, np.ndarray], blocks: int = 12
) -> dg.MarkdownMetadataValue:
    """Share of sales inside their interval, over consecutive blocks of sales, against what the interval promised.

    Args:
        error_log: ln estimate − ln price, shape (n,), in time order within each collection.
        half_widths: promised coverage (0…1) → half-width in log units, shape (n,), NaN where there is no interval.
        blocks: consecutive parts of the sample.
    """
    figure, axes = _figure("Interval coverage, by block of sales (walk-forward)")
    for colour, (promised, half) in zip((ACCENT, INK), half_widths.items(), strict=False):
        known = np.isfinite(half)
        inside = (np.abs(error_log) <= half)[known]
        shares = [100 * part.mean() for part in np.array_split(inside, blocks) if len(part)]
        axes.plot(
            range(1, len(shares) + 1),
            shares,
            marker="o",
            markersize=4,
            color=colour,
            label=f"{promised:.0%} interval",
        )
        axes.axhline(100 * promised, color=colour, linewidth=0.8, linestyle=":")
    axes.set_ylabel("sales inside, %", fontsize=8)
    axes.set_xlabel("block of sales, oldest first", fontsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=7, frameon=False)
    return _embed(figure)
