"""The closing table of a run. Here: layout. Not here: the numbers (`orchestration.runs.summary`)."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from ml.text.visible import visible
from orchestration.output.tables import TerminalTable
from orchestration.output.terminal import TerminalConsole, styled
from orchestration.runs.summary import RunSummary


def print_summary(summary: RunSummary, console: Console | None = None) -> None:
    """Counts, models by tier, error with that of the baselines, error against the truth, reconciliation, time."""
    console = console or TerminalConsole(width_of_files=118)
    console.print()
    console.print(_counts(summary))
    for chain, metrics in summary.errors.get("chains", {}).items():
        if metrics["sales"] and (chain == "all" or len(summary.errors["chains"]) > 2):
            console.print(_errors(chain, metrics))
    if summary.truth:
        t = summary.truth
        console.print(
            f"Against the hidden truth ({t['n']:,} tokens): MdAPE {100 * t['mdape']:.1f} %, "
            f"within 20 % {100 * t['ppe20']:.0f} %, level {t['level']:.3f}"
        )
    console.print(_reconciliation(summary))
    if summary.quarantine:
        console.print(_quarantine(summary))
    if summary.left_out:
        console.print(styled(("\nNot used, or decided for a whole file:", "bold")))
        for line in summary.left_out:
            console.print(styled(f"  {visible(line)}"))
    console.print(_time(summary))
    console.print(_stages(summary))
    console.print(
        styled(
            "\nNext: ",
            ("make ui", "bold"),
            " (asset graph, plots, checks) · ",
            ("make serve", "bold"),
            " (API, dashboard) · ",
            ("docs/tutorial.md", "bold"),
            f" · home {summary.home}",
        )
    )


def _counts(s: RunSummary) -> TerminalTable:
    table = TerminalTable(title=f"Market as of {s.as_of}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("collections", f"{s.collections:,}")
    table.add_row("tokens valued / all", f"{s.tokens_estimated:,} / {s.tokens:,}")
    table.add_row("sales, arm's length / all", f"{s.sales_arms_length:,} / {s.sales:,}")
    table.add_row("rows in quarantine", f"{s.quarantined:,}")
    for tier, n in s.models_by_tier.items():
        table.add_row(f"collections valued by {tier}", f"{n:,}")
    for action, n in sorted(s.trained.items()):
        table.add_row(f"decisions of this run: {action}", f"{n:,}")
    return table


def _errors(chain: str, errors: dict[str, Any]) -> TerminalTable:
    where = "all chains" if chain == "all" else visible(chain)
    from ml.accuracy.config import SERIES_NAMES

    table = TerminalTable(
        title=f"Walk-forward error, {where}: last 30 % of each collection with ≥ 200 sales"
        f" ({errors['sales']:,} sales, {errors['collections']} collections)",
        title_justify="left",
        caption=f"Beats the best simple baseline in {100 * errors['share_beating_best_simple']:.0f} % of collections; "
        f"pooled MdAPE {errors['mdape_ratio_to_med_5']:.2f} × that of the median of the last 5",
        caption_justify="left",
    )
    table.add_column("estimate")
    for column in ("MdAPE %", "MAPE %", "within 20 %", "level", "MdAPE %, median collection"):
        table.add_column(column, justify="right")
    for name, metrics in errors["pooled"].items():
        shares = [_percent(metrics[key]) for key in ("mdape", "mape", "ppe20")]
        level = "–" if metrics["level"] is None else f"{metrics['level']:.3f}"
        over = _percent(errors["median_collection_mdape"].get(name))
        table.add_row(
            SERIES_NAMES.get(name, name), *shares, level, over, style="bold" if name == "model" else None
        )
    return table


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _reconciliation(s: RunSummary) -> TerminalTable:
    """Sources across, reasons down: every raw row is in the marts, in quarantine or excluded by a rule."""
    table = TerminalTable(title="Reconciliation: where every sale row went", title_justify="left")
    table.add_column("rows")
    shown = sorted(s.reconciliation, key=lambda row: -row["raw_rows"])
    several = len({row["delivered_by"] for row in shown}) > 1
    for row in shown:
        name = visible(str(row["source"]))[:24]
        heading = f"{visible(str(row['delivered_by']))[:24]}\n{name}" if several else name
        table.add_column(heading, justify="right", overflow="fold")
    for name in [n for n in (shown[0] if shown else {}) if n not in ("source", "delivered_by")]:
        counts = [row[name] for row in shown]
        if any(counts) or name == "difference":
            table.add_row(name.replace("_", " "), *[f"{n:,}" for n in counts])
    return table


def _quarantine(s: RunSummary) -> TerminalTable:
    """Refused rows by reason, so that a column in another unit or form is noticed at once."""
    table = TerminalTable(
        title="In quarantine: the commonest reasons, each with an example",
        title_justify="left",
        caption="What to do: docs/runbook/quarantine-grew.md · assay replay",
        caption_justify="left",
    )
    for column in ("table", "reason", "column", "expected", "found", "in"):
        table.add_column(column, overflow="fold")
    table.add_column("rows", justify="right")
    for row in s.quarantine:
        named = (
            row["table_name"],
            row["reason"],
            row["column_name"],
            row["expected"],
            row["found"],
            row["source_row"],
        )
        table.add_row(*["" if value is None else visible(str(value)) for value in named], f"{row['rows']:,}")
    return table


def _time(s: RunSummary) -> Text:
    """A line and not a title, which would be folded to the width of its table."""
    total = sum(stage.seconds for stage in s.stages)
    whole = total if s.seconds is None else s.seconds
    start = "" if s.seconds is None else f", {max(whole - total, 0):.1f} s of it outside the stages"
    return styled((f"Time: {whole:.1f} s{start}, peak memory {s.peak_rss_mb:,.0f} MB", "italic"))


def _stages(s: RunSummary) -> TerminalTable:
    table = TerminalTable()
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    table.add_column("rows", justify="right")
    for stage in s.stages:
        table.add_row(stage.name, f"{stage.seconds:.1f}", "" if stage.rows is None else f"{stage.rows:,}")
    return table
