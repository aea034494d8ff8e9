"""`assay demo chain`: the main job on a chain of this machine. Here: options. Not here: any work."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.options import AsJson
from orchestration.output.terminal import complain, print_json

DEFAULT_HOME = Path(".assay-demo-chain")

demo = typer.Typer(
    no_args_is_help=True, help="Show a path from its beginning to its end, on a market made for it."
)


@demo.callback()
def _demos() -> None:
    """Show a path from its beginning to its end, on a market made for it."""


@demo.command()
def chain(
    home: Annotated[
        Path, typer.Option(help="New folder for what the demonstration makes; it stays.")
    ] = DEFAULT_HOME,
    packages: Annotated[
        Path | None, typer.Option(help="Folder in which npm installed the node [ASSAY_TEST_CHAIN].")
    ] = None,
    sales: Annotated[int, typer.Option(min=60, max=20_000, help="Sales of the month, about.")] = 700,
    as_json: AsJson = False,
) -> None:
    """Trade for a month on a real Ethereum node of this machine, and value it by the main job.

    Four collections, five marketplaces, bids, sweeps, bundles; a reorganisation, and a node that goes away.
    Exit codes: 0 the home has each sale once, as it was traded · 1 it has not · 2 the node is not installed.
    """
    from sources.local_chain.node import find_packages

    found = find_packages(packages)
    from orchestration.cli.render.chain_demo import print_chain_demo
    from orchestration.reliability.chain_demo import run_chain_demo

    result = run_chain_demo(home.expanduser().resolve(), found, sales=sales, say=complain)
    if as_json:
        print_json(asdict(result) | {"passed": result.passed})
    else:
        print_chain_demo(result)
    raise typer.Exit(0 if result.passed else 1)
