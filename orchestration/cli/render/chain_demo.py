"""What `assay demo chain` prints. Here: layout, 80 columns. Not here: the numbers (`reliability.chain_demo`)."""

from __future__ import annotations

from rich.console import Console

from orchestration.output.amounts import amount
from orchestration.output.tables import TerminalTable
from orchestration.output.terminal import TerminalConsole, styled
from orchestration.reliability.chain_demo import ChainDemo


def print_chain_demo(demo: ChainDemo, console: Console | None = None) -> None:
    """What happened, sales by marketplace on the chain and in the home, collections, one portfolio, where it is."""
    console = console or TerminalConsole(width_of_files=80)
    steps = TerminalTable(title=f"A month on a chain: {demo.blocks:,} blocks", title_justify="left")
    steps.add_column("day", justify="right")
    steps.add_column("what happened, and what assay run found", overflow="fold")
    for step in demo.steps:
        steps.add_row(str(step.day), step.what)
    console.print(steps)
    console.print(_sales(demo))
    for kind, what in demo.incidents:
        console.print(f"Noticed: {kind}: {what}")
    console.print(
        f"Taken back by the reorganisation, kept as superseded: {demo.superseded} sales. Tokens whose "
        f"traits were read: {demo.with_traits}."
    )
    console.print(_collections(demo))
    _print_portfolio(console, demo)
    verdict = (
        ("Every sale of the chain is in the home once, as it was traded.", "green")
        if demo.passed
        else (f"The home differs from the chain: {len(demo.differing)} sales, see --json.", "red")
    )
    console.print(styled("\n", verdict, f" {demo.seconds:.0f} s."))
    console.print(
        styled(
            "Next: ",
            (f"assay portfolio --home {demo.home} --wallet {demo.wallet}", "bold"),
            " · ",
            (f"assay serve --home {demo.home}", "bold"),
        )
    )


def _sales(demo: ChainDemo) -> TerminalTable:
    table = TerminalTable(title="Sales by marketplace", title_justify="left")
    for column in ("marketplace", "on the chain", "in the home"):
        table.add_column(column, justify="left" if column == "marketplace" else "right")
    for venue in sorted({*demo.traded, *demo.read}):
        table.add_row(venue, f"{demo.traded.get(venue, 0):,}", f"{demo.read.get(venue, 0):,}")
    table.add_row("in bundles, without a price", *(f"{count:,}" for count in demo.bundled))
    return table


def _collections(demo: ChainDemo) -> TerminalTable:
    table = TerminalTable(
        title="Collections",
        title_justify="left",
        caption="error: median, against the prices that the market was made with",
        caption_justify="left",
    )
    for column in ("collection", "priced by", "sales", "valued", "median ETH", "error"):
        table.add_column(column, justify="left" if column in ("collection", "priced by") else "right")
    for row in demo.collections:
        table.add_row(
            row["name"],
            row["tier"],
            f"{row['sales']:,}",
            f"{row['valued']} / {row['tokens']}",
            amount(row["median_eth"]),
            "–" if row["error"] is None else f"{100 * row['error']:.1f} %",
        )
    return table


def _print_portfolio(console: Console, demo: ChainDemo) -> None:
    statement = demo.statement
    if statement is None:
        return
    value = statement.value
    interval = (
        ""
        if value.lower_80_eth is None
        else f" ({amount(value.lower_80_eth)} to {amount(value.upper_80_eth)})"
    )
    dollars = "" if statement.ether_usd is None else f", {value.sum_eth * statement.ether_usd:,.0f} USD"
    console.print(f"Portfolio of {demo.wallet}:")
    console.print(
        f"  {len(statement.tokens)} tokens worth {amount(value.sum_eth)} ETH{interval}{dollars}; cost "
        f"{amount(statement.cost_eth)} ETH, gain {amount(statement.gain_eth, True)} ETH, realised "
        f"{amount(statement.realized_eth, True)} ETH with {statement.realized_sales} sales"
    )
