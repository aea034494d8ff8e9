"""Realised gains as rows for a tax tool: one row per disposal and lot.

Here: `gain_rows`, and predictions.realized_gains for the owners of `wallets.yaml`. Not here: the matching
(`ml.portfolio.lots`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from ml.portfolio.ledger import Ledger, Token, read_ledger
from ml.portfolio.lots import Matched
from ml.states import Basis, LotMethod
from ml.tables.predictions import REALIZED_GAINS
from ml.tables.writing import append

LONG_TERM = timedelta(days=365)
"""Held for longer than this is long-term: over a year is more than 365 days."""


def gain_rows(
    ledger: Ledger, start: datetime | None = None, end: datetime | None = None
) -> list[dict[str, Any]]:
    """Disposals from `start` to before `end`, oldest first, with what they took from which lot.

    A gain is None, never 0, where cost or proceeds are not known; `no_gain_reason` says why.
    """
    return [
        _row(ledger, token, match)
        for token, match in ledger.matched
        if (start is None or match.disposal.at >= start) and (end is None or match.disposal.at < end)
    ]


def _row(ledger: Ledger, token: Token, match: Matched) -> dict[str, Any]:
    lot, disposal = match.lot, match.disposal
    sold = disposal.kind == "sold"
    known = sold and match.cost_wei is not None and match.proceeds_wei is not None
    in_usd = sold and match.cost_usd is not None and match.proceeds_usd is not None
    reason = None
    if not sold:
        reason = disposal.reason if disposal.reason not in (None, "no_sale") else disposal.kind
    elif match.cost_wei is None:
        reason = lot.reason
    basis = ledger.basis(token, lot, disposal.wallet) if lot.basis != Basis.UNKNOWN else Basis.UNKNOWN
    return {
        "disposal_id": disposal.id,
        "acquisition_id": lot.id,
        "collection": token[0],
        "token_id": token[1],
        "quantity": match.quantity,
        "wallet": disposal.wallet,
        "acquisition_kind": lot.kind,
        "disposal_kind": disposal.kind,
        "acquired_at": lot.at,
        "disposed_at": disposal.at,
        "holding_days": None if lot.at is None else (disposal.at.date() - lot.at.date()).days,
        "is_long_term": None if lot.at is None else disposal.at > lot.at + LONG_TERM,
        "cost_wei": match.cost_wei,
        "proceeds_wei": match.proceeds_wei,
        "fees_wei": match.fees_wei,
        "gain_wei": match.proceeds_wei - match.cost_wei if known else None,  # type: ignore[operator]
        "cost_usd": match.cost_usd,
        "proceeds_usd": match.proceeds_usd,
        "gain_usd": match.proceeds_usd - match.cost_usd if in_usd else None,  # type: ignore[operator]
        "basis_status": str(basis),
        "no_gain_reason": reason,
        "acquisition_tx_hash": lot.tx_hash,
        "disposal_tx_hash": disposal.tx_hash,
    }


def record_gains(
    con: duckdb.DuckDBPyConnection, owners: Mapping[str, Sequence[str]], method: LotMethod
) -> int:
    """Replace predictions.realized_gains by the gains of these owners, in the caller's transaction.

    Returns:
        Rows written.
    """
    con.execute(f"delete from {REALIZED_GAINS.name}")
    written = 0
    for name, wallets in owners.items():
        rows = gain_rows(read_ledger(con, wallets, method))
        named = [{"owner": name, "method": str(method), **row} for row in rows]
        if named:
            append(con, REALIZED_GAINS.name, pa.Table.from_pylist(named, schema=REALIZED_GAINS.arrow()))
        written += len(named)
    return written
