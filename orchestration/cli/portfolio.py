"""`assay portfolio`: what an owner's tokens are worth together.

Here: options and printing. Not here: the work (`ml/portfolio`).
"""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.text.visible import visible
from orchestration.cli.options import AsJson, DataDir, Home, Source
from orchestration.errors import HomeError
from orchestration.output.terminal import TerminalConsole, print_json
from orchestration.settings import SettingsError, load_settings

if TYPE_CHECKING:
    from ml.portfolio.valuation import PortfolioValue

SHOWN_TOKENS = 50
"""Rows of the printed tables; --json has all."""


def portfolio(
    owner: Annotated[str | None, typer.Option(help="Address whose holdings to value.")] = None,
    tokens: Annotated[
        Path | None, typer.Option(help="CSV file with the columns collection and token_id.")
    ] = None,
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Value a set of tokens: each, their sum, and an 80 % interval of the sum that includes correlated errors."""
    if (owner is None) == (tokens is None):
        raise SettingsError("expected either --owner ADDRESS or --tokens FILE.csv, one of them")
    settings = load_settings(home=home, source=source, data_dir=data_dir)
    from ml.portfolio.valuation import tokens_of, value_portfolio
    from orchestration.home import existing_home
    from orchestration.resources import open_lake

    existing_home(settings)
    listed = _read_tokens(tokens) if tokens else []
    with open_lake(settings).read() as con:
        if not con.execute("select 1 from predictions.token_estimates limit 1").fetchone():
            raise HomeError(f"expected estimates in {settings.home_path}, found none; `assay run` makes them")
        asked = tokens_of(con, owner) if owner else listed
        if not asked:
            raise SettingsError(
                f"no token is known to be held by {owner}" if owner else f"{tokens} lists no token"
            )
        value = value_portfolio(con, asked)
    if as_json:
        print_json(asdict(value))
    else:
        _print(value)


def _read_tokens(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            missing = {"collection", "token_id"} - set(rows.fieldnames or ())
            if missing:
                raise SettingsError(
                    f"{path}: expected the columns collection and token_id, missing {sorted(missing)}"
                )
            return [(row["collection"], row["token_id"]) for row in rows]
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from error


def _print(value: PortfolioValue) -> None:
    from rich.table import Table

    console = TerminalConsole()
    table = Table("collection", "token", "grade", "estimate ETH", "80 % interval", "mean ETH", "tier")
    ordered = sorted(value.tokens, key=lambda row: -row["expected_eth"])
    for row in ordered[:SHOWN_TOKENS]:
        interval = (
            "—" if row["lower_80_eth"] is None else f"{row['lower_80_eth']:.4g} to {row['upper_80_eth']:.4g}"
        )
        table.add_row(
            visible(row["collection"]),
            visible(row["token_id"]),
            row["grade"] or "—",
            f"{row['estimate_eth']:.4g}",
            interval,
            f"{row['expected_eth']:.4g}",
            row["tier"],
        )
    if value.tokens:
        console.print(table)
    if len(ordered) > SHOWN_TOKENS:
        console.print(f"… and {len(ordered) - SHOWN_TOKENS} more; --json lists all")
    interval = "no interval"
    if value.lower_80_eth is not None:
        interval = f"80 % interval {value.lower_80_eth:.4g} to {value.upper_80_eth:.4g} ETH ({value.method})"
    console.print(
        f"sum {value.sum_eth:.4g} ETH for {len(value.tokens)} tokens · {interval} · as of {value.as_of}"
    )
    if value.unvalued:
        console.print(f"\n{len(value.unvalued)} tokens without a value:")
        without = Table("collection", "token", "reason")
        for missing in value.unvalued[:SHOWN_TOKENS]:
            without.add_row(*(visible(missing[name]) for name in ("collection", "token_id", "reason")))
        console.print(without)
