"""The closing table of a run, for people. Here: layout. Not here: the numbers (`summary.py`)."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from orchestration.summary import RunSummary

MODEL_NAMES = {
    "assay": "Assay",
    "index": "hedonic index alone",
    "med_5": "median of the last 5",
    "med_30": "median of the last 30",
    "p20_50": "floor proxy (p20 of 50)",
    "last_x_index": "last sale × index",
}


def print_summary(summary: RunSummary, console: Console | None = None) -> None:
    """Counts, models by tier, error beside the baselines, error against the truth, reconciliation, time, where to look."""
    console = console or Console()
    console.print()
    console.print(_counts(summary))
    if summary.errors.get("pooled"):
        console.print(_errors(summary.errors))
    if summary.truth:
        t = summary.truth
        console.print(
            f"Against the hidden truth ({t['n']:,} tokens): MdAPE {t['mdape']:.1f} %, within 20 % {t['ppe20']:.0f} %, "
            f"level {t['level']:.3f}, true value inside the 80 % interval {t['inside_80']:.0f} %"
        )
    console.print(_reconciliation(summary))
    console.print(_stages(summary))
    console.print(
        f"\nLook next: [bold]make ui[/] (asset graph, plots, checks) · [bold]docs/tutorial.md[/] · home {summary.home}"
    )


def _counts(s: RunSummary) -> Table:
    table = Table(title=f"Market as of {s.as_of}", title_justify="left", show_header=False)
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


def _errors(errors: dict[str, Any]) -> Table:
    first = next(iter(errors["pooled"].values()))
    table = Table(
        title=f"Walk-forward error, last 30 % of each collection with ≥ 200 sales (n = {first['n']:,})",
        title_justify="left",
    )
    table.add_column("estimate")
    for column in ("MdAPE %", "MAPE %", "within 20 %", "level", "median over collections"):
        table.add_column(column, justify="right")
    for name, m in errors["pooled"].items():
        over = errors.get("median_over_collections", {}).get(name)
        table.add_row(
            MODEL_NAMES.get(name, name),
            f"{m['mdape']:.1f}",
            f"{m['mape']:.1f}",
            f"{m['ppe20']:.0f}",
            f"{m['level']:.3f}",
            f"{over:.1f}" if over is not None else "",
            style="bold" if name == "assay" else None,
        )
    return table


def _reconciliation(s: RunSummary) -> Table:
    table = Table(title="Reconciliation: where every sale row went", title_justify="left")
    names = list(s.reconciliation[0]) if s.reconciliation else []
    for name in names:
        table.add_column(name)
    for row in s.reconciliation:
        table.add_row(*[f"{row[n]:,}" if isinstance(row[n], int) else str(row[n]) for n in names])
    return table


def _stages(s: RunSummary) -> Table:
    total = sum(stage.seconds for stage in s.stages)
    table = Table(title=f"Time: {total:.1f} s, peak memory {s.peak_rss_mb:,.0f} MB", title_justify="left")
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    table.add_column("rows", justify="right")
    for stage in s.stages:
        table.add_row(stage.name, f"{stage.seconds:.1f}", "" if stage.rows is None else f"{stage.rows:,}")
    return table
