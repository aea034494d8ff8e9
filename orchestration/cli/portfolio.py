"""`assay portfolio`: what an owner's tokens are worth together, what they cost, and what they gained.

Here: options, and what is asked for. Not here: the work (`ml/portfolio`), layout (`render.statement`).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lake.tables import is_empty
from orchestration.cli.opened import open_home
from orchestration.cli.options import AsJson, DataDir, Home, Source
from orchestration.errors import HomeError
from orchestration.output.csv_rows import write_mappings
from orchestration.output.terminal import print_json
from orchestration.settings import SettingsError

if TYPE_CHECKING:
    from ml.portfolio.history import DayValue, Return
    from ml.portfolio.ledger import Ledger
    from ml.portfolio.statement import Statement

Owner = Annotated[
    list[str] | None, typer.Option(help="Name in wallets.yaml, or address; several are one owner.")
]
Wallet = Annotated[
    list[str] | None,
    typer.Option(help="Address; several belong together, moves between them realise nothing."),
]
Method = Annotated[
    Literal["fifo", "lifo", "hifo", "average"],
    typer.Option(help="Which lot is sold first, where a token has several units (ERC-1155)."),
]
Currency = Annotated[Literal["ETH", "USD"], typer.Option(help="Currency of the printed amounts.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Write one row per token as CSV on standard output.")]


def portfolio(
    owner: Owner = None,
    wallet: Wallet = None,
    tokens: Annotated[
        Path | None, typer.Option(help="CSV file with the columns collection and token_id.")
    ] = None,
    as_of: Annotated[
        datetime | None, typer.Option(help="Held then, valued by the estimates of then (UTC).")
    ] = None,
    method: Method = "fifo",
    currency: Currency = "ETH",
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Value the tokens of an owner: each, their sum with an 80 % interval, cost, gains, risk, and how they changed."""
    if bool(owner or wallet) == (tokens is not None):
        raise SettingsError("expected either --owner or --wallet, or --tokens FILE.csv, one of them")
    settings = open_home(home, source, data_dir)
    wallets = [] if tokens else resolve_wallets(settings.home_path, owner or [], wallet or [])
    listed = _read_tokens(tokens) if tokens else []
    from ml.portfolio.history import time_weighted_return, value_history
    from ml.portfolio.ledger import read_ledger
    from ml.portfolio.statement import make_statement
    from ml.states import LotMethod
    from orchestration.resources import open_lake

    ledger: Ledger | None = None
    history: list[DayValue] = []
    with open_lake(settings).read() as con:
        if is_empty(con, "predictions.token_estimates"):
            raise HomeError(f"expected estimates in {settings.home_path}, found none; `assay run` makes them")
        if wallets:
            ledger = read_ledger(con, wallets, LotMethod(method), until=as_of)
            history = value_history(con, wallets, until=as_of)
        if not listed and not (ledger and (ledger.held or ledger.matched)):
            what = (
                f"{tokens} lists no token"
                if tokens
                else f"no token is known to be held by {', '.join(wallets)}"
            )
            raise SettingsError(what)
        statement = make_statement(con, listed, ledger, as_of)
    earned = time_weighted_return(history, ledger) if ledger else None
    if as_json:
        print_json(_document(statement, history, earned))
    elif as_csv:
        write_mappings(sys.stdout, statement.tokens)
    else:
        from orchestration.cli.render.statement import print_statement

        print_statement(statement, history, earned, currency)


def resolve_wallets(home: Path, owners: Sequence[str], wallets: Sequence[str]) -> list[str]:
    """Addresses of named owners, of owners given by address, and of wallets.

    Raises:
        SettingsError: `wallets.yaml` cannot be used, or a name is neither in it nor an address.
    """
    from ml.portfolio.owners import FILE, OwnersError, address, read_owners

    try:
        named = read_owners(home)
    except OwnersError as error:
        raise SettingsError(str(error)) from error
    found: list[str] = []
    for owner in owners:
        if owner in named:
            found += named[owner]
        elif " " in owner.strip() or not owner.strip():
            known = ", ".join(named) or f"none: there is no {FILE}"
            raise SettingsError(f"expected an address or a name in {FILE} ({known}), found {owner!r}")
        else:
            found.append(address(owner))
    found += [address(wallet) for wallet in wallets]
    return list(dict.fromkeys(found))


def _document(statement: Statement, history: Sequence[DayValue], earned: Return | None) -> dict[str, Any]:
    return {
        **asdict(statement),
        "history": [asdict(day) for day in history],
        "time_weighted_return": None if earned is None else asdict(earned),
    }


def _read_tokens(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            missing = {"collection", "token_id"} - set(rows.fieldnames or ())
            if missing:
                raise SettingsError(
                    f"{path}: expected the columns collection and token_id, missing {sorted(missing)}"
                )
            return [(row["collection"], row["token_id"]) for row in rows]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from error
