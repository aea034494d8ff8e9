"""`assay gains`: realised gains of an owner, one row per disposal and lot.

Here: options, the year, and the printed table. Not here: the matching (`ml/portfolio`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from ml.text.visible import visible
from orchestration.cli.options import AsJson, DataDir, Home, Source
from orchestration.cli.portfolio import AsCsv, Currency, Method, Owner, Wallet, resolve_wallets
from orchestration.output.csv_rows import write_mappings
from orchestration.output.terminal import TerminalConsole, print_json
from orchestration.settings import SettingsError, load_settings

SHOWN = 50
"""Rows of the printed table; --csv and --json have all."""

ETHER = 10**18


def gains(
    owner: Owner = None,
    wallet: Wallet = None,
    year: Annotated[int | None, typer.Option(help="Only disposals of this year (UTC).")] = None,
    method: Method = "fifo",
    currency: Currency = "ETH",
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List what was sold, sent or burned, with cost, proceeds and gain; a gain that is not known is empty, never 0."""
    if not (owner or wallet):
        raise SettingsError("expected --owner or --wallet: whose gains")
    if year is not None and not 2009 <= year <= 9998:
        raise SettingsError(f"expected a year such as 2022, found {year}")
    settings = load_settings(home=home, source=source, data_dir=data_dir)
    from ml.portfolio.gains import gain_rows
    from ml.portfolio.ledger import read_ledger
    from ml.states import LotMethod
    from orchestration.home import existing_home
    from orchestration.resources import open_lake

    existing_home(settings)
    wallets = resolve_wallets(settings.home_path, owner or [], wallet or [])
    with open_lake(settings).read() as con:
        ledger = read_ledger(con, wallets, LotMethod(method))
    if not (ledger.held or ledger.matched):
        raise SettingsError(f"no token is known to have been held by {', '.join(wallets)}")
    start = None if year is None else datetime(year, 1, 1)  # noqa: DTZ001 - the lake's naive UTC
    end = None if year is None else datetime(year + 1, 1, 1)  # noqa: DTZ001
    rows = gain_rows(ledger, start, end)
    if as_csv:
        write_mappings(sys.stdout, [for_tax_tools(row) for row in rows])
    elif as_json:
        # whole wei as text: a number of JSON does not hold them
        print_json(
            [{k: str(v) if k.endswith("_wei") and v is not None else v for k, v in r.items()} for r in rows]
        )
    else:
        _print(rows, currency)


def for_tax_tools(row: dict[str, Any]) -> dict[str, Any]:
    """A row under the names that tax tools import, amounts in ETH in full and in US dollars."""

    def eth(wei: int | None) -> str | None:
        if wei is None:
            return None
        sign, whole = "-" if wei < 0 else "", abs(wei)
        return f"{sign}{whole // ETHER}.{whole % ETHER:018d}"

    def usd(amount: float | None) -> str | None:
        return None if amount is None else f"{amount:.2f}"

    return {
        "asset": f"{row['collection']} #{row['token_id']}",
        "quantity": row["quantity"],
        "date_acquired": row["acquired_at"],
        "date_disposed": row["disposed_at"],
        "holding_days": row["holding_days"],
        "term": None if row["is_long_term"] is None else "long" if row["is_long_term"] else "short",
        "disposal": row["disposal_kind"],
        "cost_basis_usd": usd(row["cost_usd"]),
        "proceeds_usd": usd(row["proceeds_usd"]),
        "gain_usd": usd(row["gain_usd"]),
        "cost_basis_eth": eth(row["cost_wei"]),
        "proceeds_eth": eth(row["proceeds_wei"]),
        "fees_eth": eth(row["fees_wei"]),
        "gain_eth": eth(row["gain_wei"]),
        "basis_status": row["basis_status"],
        "no_gain_reason": row["no_gain_reason"],
        "wallet": row["wallet"],
        "acquisition_tx_hash": row["acquisition_tx_hash"],
        "disposal_tx_hash": row["disposal_tx_hash"],
        "collection": row["collection"],
        "token_id": row["token_id"],
    }


def _print(rows: Sequence[dict[str, Any]], currency: str) -> None:
    from orchestration.output.amounts import amount
    from orchestration.output.tables import TerminalTable

    console = TerminalConsole(width_of_files=80)
    if not rows:
        console.print("nothing was given away in that time")
        return
    table = TerminalTable(
        "sold", "token", "held", "cost", "proceeds", f"gain {currency}", "basis", expand=True
    )
    for name in ("cost", "proceeds", f"gain {currency}"):
        next(column for column in table.columns if column.header == name).justify = "right"
    for row in rows[:SHOWN]:
        days = row["holding_days"]
        table.add_row(
            str(row["disposed_at"])[:10],
            visible(f"{row['collection']} #{row['token_id']}"),
            "?" if days is None else f"{days} d",
            amount(_of(row, "cost", currency)),
            amount(_of(row, "proceeds", currency)),
            amount(_of(row, "gain", currency) if row["no_gain_reason"] is None else None, signed=True),
            ": ".join(filter(None, (row["basis_status"], (row["no_gain_reason"] or "").replace("_", " ")))),
        )
    console.print(table)
    if len(rows) > SHOWN:
        console.print(f"… and {len(rows) - SHOWN} more; --csv has all")
    sold = [row for row in rows if row["disposal_kind"] == "sold"]
    known = [value for row in sold if (value := _of(row, "gain", currency)) is not None]
    console.print(
        f"gain {amount(sum(known) if known else None, signed=True)} {currency} of {len(known)} of {len(sold)} sold"
        + (f"; {len(sold) - len(known)} without a known gain are not in it" if len(known) < len(sold) else "")
    )


def _of(row: dict[str, Any], what: str, currency: str) -> float | None:
    if currency == "USD":
        return row[f"{what}_usd"]
    return None if row[f"{what}_wei"] is None else row[f"{what}_wei"] / ETHER
