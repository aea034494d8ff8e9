"""What an owner's wallets acquired and gave away, as one ledger per token, matched into lots.

Here: `read_ledger`. Not here: the matching (`ml.portfolio.lots`), owners (`ml.portfolio.owners`), values
(`ml.portfolio.statement`).

Concept: the marts are per wallet. For an owner with several, a move from one of them to another is no acquisition and
no disposal, and the lot keeps its cost and its date. Both sides of such a move have one id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from lake.bound import Value, execute_bound
from ml.portfolio.lots import Acquired, Disposed, Matched, Moved, OpenLot, match_lots
from ml.states import Basis, LotMethod

Token = tuple[str, str]


@dataclass(frozen=True)
class Ledger:
    """An owner's lots.

    Attributes:
        wallets: The owner's wallets.
        method: How lots were matched.
        matched: Units given away, with the lot they came from, by time.
        held: Lots of which units are left, by token.
        holders: Wallet that got each token last.
        moved: Tokens that went from one of the wallets to another.
    """

    wallets: tuple[str, ...]
    method: LotMethod
    matched: list[tuple[Token, Matched]]
    held: dict[Token, list[OpenLot]]
    holders: dict[Token, str]
    moved: frozenset[Token]

    def basis(self, token: Token, lot: Acquired, wallet: str) -> Basis:
        """The basis of a lot that this wallet holds or gives: carried if another of the owner's wallets got it."""
        carried = wallet != lot.wallet and lot.basis != Basis.UNKNOWN and token in self.moved
        return Basis.CARRIED if carried else lot.basis


def read_ledger(
    con: duckdb.DuckDBPyConnection,
    wallets: Sequence[str],
    method: LotMethod = LotMethod.FIFO,
    until: datetime | None = None,
) -> Ledger:
    """The ledger of wallets that belong together.

    Args:
        con: A connection with the marts.
        wallets: Addresses as in the marts (`owners.address`).
        method: How lots are matched where a token has several units.
        until: Only what happened before this time and was known by then; everything when None.
    """
    named: dict[str, Value] = {"wallets": list(wallets), "until": until}
    when = "and ($until::timestamp is null or {0}.known_at < $until and {1} < $until)"
    # An untraced acquisition that is no move is a shortage of one wallet; the owner's are found again by matching.
    got = execute_bound(
        con,
        f"""
        select a.* from marts.fct_acquisitions as a
        left join marts.fct_disposals as d on a.acquisition_id = d.disposal_id
        where list_contains($wallets, a.wallet) and (a.kind <> 'untraced' or d.disposal_id is not null)
            {when.format("a", "coalesce(a.acquired_at, a.known_at)")}
        """,
        named,
    )
    acquired = _rows(got)
    given = _rows(
        execute_bound(
            con,
            f"""
            select d.* from marts.fct_disposals as d
            where list_contains($wallets, d.wallet) {when.format("d", "d.disposed_at")}
            """,
            named,
        )
    )
    inside = {row["acquisition_id"] for row in acquired} & {row["disposal_id"] for row in given}
    times = {row["disposal_id"]: row["disposed_at"] for row in given}
    events: dict[Token, list[tuple[tuple[Any, ...], Acquired | Disposed | Moved]]] = {}
    holders: dict[Token, str] = {}
    moved = set()
    for row in sorted(acquired, key=_order_of_acquisition):
        token = (row["collection"], row["token_id"])
        holders[token] = row["wallet"]
        if row["acquisition_id"] in inside:
            moved.add(token)
            continue
        at = row["acquired_at"] or times.get(row["acquisition_id"]) or row["known_at"]
        order = (at, 0, *_place(row))
        events.setdefault(token, []).append((order, _acquired(row)))
    for row in given:
        token = (row["collection"], row["token_id"])
        own = row["disposal_id"] in inside
        # what came and went at one time came first, and went last
        order = (row["disposed_at"], 1 if own else 2, *_place(row))
        events.setdefault(token, []).append((order, _moved(row) if own else _disposed(row)))
    matched: list[tuple[Token, Matched]] = []
    held: dict[Token, list[OpenLot]] = {}
    for token, listed in events.items():
        found, left = match_lots([event for _, event in sorted(listed, key=lambda item: item[0])], method)
        matched += [(token, match) for match in found]
        if left:
            held[token] = left
    matched.sort(key=lambda item: (item[1].disposal.at, item[0], item[1].disposal.id, item[1].lot.id))
    return Ledger(tuple(wallets), method, matched, dict(sorted(held.items())), holders, frozenset(moved))


def _order_of_acquisition(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["acquired_at"] or row["known_at"], *_place(row))


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    """Where among the moves of one time."""
    return (row["log_index"], row["tx_hash"], row["place_in_tx"] or 0, row["until_unit"])


def _rows(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _acquired(row: dict[str, Any]) -> Acquired:
    return Acquired(
        row["acquisition_id"],
        row["wallet"],
        row["acquired_at"],
        row["quantity"],
        row["kind"],
        Basis(row["basis_status"]),
        _whole(row["cost_wei"]),
        row["cost_usd"],
        row["unknown_basis_reason"],
        row["tx_hash"],
    )


def _moved(row: dict[str, Any]) -> Moved:
    return Moved(row["disposal_id"], row["wallet"], row["quantity"], row["tx_hash"])


def _disposed(row: dict[str, Any]) -> Disposed:
    return Disposed(
        row["disposal_id"],
        row["wallet"],
        row["disposed_at"],
        row["quantity"],
        row["kind"],
        _whole(row["proceeds_wei"]),
        row["proceeds_usd"],
        _whole(row["fees_wei"]),
        row["no_proceeds_reason"],
        row["tx_hash"],
    )
