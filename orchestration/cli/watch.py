"""`assay watch`: contracts to read from a chain. Here: options and layout. Not here: the list (`ingestion.listed`)."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.options import Home
from orchestration.output.terminal import say
from orchestration.settings import load_settings


def watch(
    contracts: Annotated[list[str], typer.Argument(help="Addresses of contracts.")],
    start: Annotated[
        str | None, typer.Option(help="First day or block to read, for a home without an Ethereum source.")
    ] = None,
    home: Home = None,
) -> None:
    """Read these contracts from an Ethereum chain. The next `assay run` reads their whole history since the start.

    Exit codes: 0 watched · 2 an address is none, or the home cannot have them.
    """
    from orchestration.ingestion.listed import watch as add

    watched = add(load_settings(home=home), contracts, start, say)
    noun = "contract" if len(watched) == 1 else "contracts"
    say(f"{len(watched)} {noun} watched; `assay run` reads their sales and transfers")
