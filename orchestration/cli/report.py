"""`assay report`: a ledger of frozen estimates as an accuracy report, and its closing table on the terminal.

Here: options, where files go, the terminal's table. Not here: figures and pages (`ml.accuracy`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml.text.visible import visible
from orchestration.cli.options import AsJson
from orchestration.output.terminal import TerminalConsole, complain, print_json, say

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration.output.tables import TerminalTable


def report(
    ledger: Annotated[Path, typer.Argument(help="Parquet ledger written by `assay backtest`.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for accuracy.md, .html, .json and pictures; default: next to the ledger."),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the Markdown page here, e.g. docs/accuracy.md.")
    ] = None,
    ablation: Annotated[
        Path | None, typer.Option(help="JSON of experiments to show: ablation rows and what tuning bought.")
    ] = None,
    command: Annotated[
        str, typer.Option(help="The command lines that made the ledger, to be shown on the page.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Report the errors of a ledger's estimates, with those of the baselines."""
    from ml.accuracy import LedgerError, accuracy_of
    from ml.accuracy.experiments import ExperimentsError, read_experiments
    from ml.accuracy.pages import compose, write_markdown, write_report
    from ml.accuracy.provenance import provenance

    try:
        document = accuracy_of(ledger)
        experiments = read_experiments(ablation) if ablation else []
    except (LedgerError, ExperimentsError) as error:
        complain(f"assay: {error}")
        raise typer.Exit(2) from error
    pages = compose(document, provenance(ledger, command), experiments)
    folder = out or ledger.with_name(f"{ledger.stem}-report")
    written = write_report(pages, folder)
    if markdown:
        markdown.parent.mkdir(parents=True, exist_ok=True)
        written += write_markdown(pages, markdown)
    if as_json:
        print_json(document)
        return
    print_accuracy(document)
    paths = ", ".join(str(path) for path in written if path.suffix != ".svg")
    say(f"\nWritten: {paths}")


def print_accuracy(document: Mapping[str, Any], console: Console | None = None) -> None:
    """The headline of a report on the terminal: errors with those of the baselines, votes, intervals, by chain.

    Args:
        document: Result of `ml.accuracy.accuracy_of`.
        console: Where to print; standard output by default.
    """
    from ml.accuracy.wording import percent

    console = console or TerminalConsole(width_of_files=118)
    data, headline, window = document["data"], document["headline"], document["window"]
    console.print(
        f"\n{data['rows']:,} sales of {data['collections']:,} collections, {data['first']} to {data['last']}; "
        f"{data['clean']:,} at arm's length, {percent(window['pooled']['hit_rate'])} % of them answered"
    )
    chains = headline["chains"] if len(headline["chains"]) > 1 else {}
    for chain, part in {"all chains": headline, **chains}.items():
        console.print(_errors(chain, part, document["settings"]))
    console.print(_tiers(headline["groups"]["premium_tier"]))


def _errors(chain: str, part: Mapping[str, Any], settings: Mapping[str, Any]) -> TerminalTable:
    from ml.accuracy.config import SERIES_NAMES
    from ml.accuracy.wording import ci, decimal, percent
    from orchestration.output.tables import TerminalTable

    pooled, contest = part["pooled"], part["contest"]
    beating = contest["beating"]
    share = f"{100 * settings['last_share']:.0f} %"
    table = TerminalTable(
        title=f"Error, {visible(chain)}: last {share} of each collection with ≥ {settings['min_sales']} clean sales "
        f"({pooled['n']:,} sales, {pooled['collections']} collections)",
        title_justify="left",
        caption=f"Beats the best simple baseline in {percent(beating['best_simple']['share'])} % and the median of 5 "
        f"in {percent(beating['med_5']['share'])} % of {contest['collections']} collections; intervals of 80 and 90 % "
        f"held {percent(pooled['coverage']['80']['share'])} and {percent(pooled['coverage']['90']['share'])} %",
        caption_justify="left",
    )
    table.add_column("estimate")
    for name in ("MdAPE % (95 %)", "MAPE %", "within 20 %", "level", "PRD", "MdAPE %, median collection"):
        table.add_column(name, justify="right")
    for name, metrics in pooled["series"].items():
        table.add_row(
            SERIES_NAMES[name],
            f"{percent(metrics['mdape'])} ({ci(metrics['mdape_ci'])})",
            percent(metrics["mape"]),
            percent(metrics["ppe20"]),
            decimal(metrics["level"]),
            decimal(metrics["prd"]),
            percent(contest["median_mdape"][name]),
            style="bold" if name == "model" else None,
        )
    return table


def _tiers(groups: Mapping[str, Any]) -> TerminalTable:
    from ml.accuracy.wording import decimal, percent
    from orchestration.output.tables import TerminalTable

    table = TerminalTable(title="By predicted premium over the floor", title_justify="left")
    table.add_column("tier")
    for name in ("n", "MdAPE %", "median of 5", "level", "PRD", "noise floor", "in 80 %", "in 90 %"):
        table.add_column(name, justify="right")
    for tier, group in groups.items():
        model, floor = group["series"]["model"], group["prd_floor"]
        table.add_row(
            tier,
            f"{group['n']:,}",
            percent(model["mdape"]),
            percent(group["series"]["med_5"]["mdape"]),
            decimal(model["level"]),
            decimal(model["prd"]),
            decimal(floor["prd"] if floor else None),
            percent(group["coverage"]["80"]["share"]),
            percent(group["coverage"]["90"]["share"]),
        )
    return table
