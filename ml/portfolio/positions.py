"""What the owners of `wallets.yaml` hold: predictions.wallet_positions.

Here: writing it. Not here: the ledger it comes from (`ledger`), or what single wallets hold
(`marts.fct_wallet_positions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from ml.portfolio.ledger import Ledger, Token, read_ledger
from ml.portfolio.lots import OpenLot
from ml.states import Basis, LotMethod
from ml.tables.predictions import WALLET_POSITIONS
from ml.tables.writing import append


def record_positions(
    con: duckdb.DuckDBPyConnection, owners: Mapping[str, Sequence[str]], method: LotMethod
) -> int:
    """Replace predictions.wallet_positions by what these owners hold, in the caller's transaction.

    Returns:
        Rows written.
    """
    con.execute(f"delete from {WALLET_POSITIONS.name}")
    written = 0
    for name, wallets in owners.items():
        ledger = read_ledger(con, wallets, method)
        rows = [
            {"owner": name, "method": str(method), **position(ledger, token, lots)}
            for token, lots in ledger.held.items()
        ]
        if rows:
            append(con, WALLET_POSITIONS.name, pa.Table.from_pylist(rows, schema=WALLET_POSITIONS.arrow()))
        written += len(rows)
    return written


def position(ledger: Ledger, token: Token, lots: Sequence[OpenLot]) -> dict[str, Any]:
    """One token held: its units, cost and basis. One unknown cost makes that of all units unknown."""
    unknown = next((lot for lot in lots if lot.cost_wei is None), None)
    shown = unknown or lots[-1]
    bases = {ledger.basis(token, lot.lot, ledger.holders[token]) for lot in lots}
    basis = Basis.UNKNOWN if unknown else bases.pop() if len(bases) == 1 else Basis.KNOWN
    usd = [lot.cost_usd for lot in lots]
    return {
        "collection": token[0],
        "token_id": token[1],
        "wallet": ledger.holders[token],
        "quantity": sum(lot.held for lot in lots),
        "cost_wei": None if unknown else sum(lot.cost_wei or 0 for lot in lots),
        "cost_usd": None if unknown or None in usd else sum(amount or 0.0 for amount in usd),
        "acquired_at": lots[-1].lot.at,
        "basis_status": str(basis),
        "unknown_basis_reason": unknown.lot.reason if unknown else None,
        "acquisition_tx_hash": shown.lot.tx_hash,
    }
