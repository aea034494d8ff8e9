"""What a wallet holds at which cost, what that has gained, and what it has gained by selling.

Here: a wallet's document joined with the estimates of the same edition. Not here: costs (`serving.store.gains_reader`),
the risk behind the interval (`ml.portfolio`).

Concept: a gain needs a cost. Where the cost is not known, or the token has no value, the gain is null beside the reason
and is in no sum; the counts say how many are not. Lots are matched first in, first out.
"""

from __future__ import annotations

import json
from typing import Any

from serving.store.documents import as_json
from serving.store.protocol import Edition
from serving.views.answer import answer, as_of_text
from serving.views.errors import UnknownWalletError
from serving.views.portfolio import interval_of

ETHER = 10**18
METHOD = "fifo"
UNKNOWN_TOKEN = "unknown-token"


def gains_answer(edition: Edition, address: str, now: float) -> bytes:
    """Positions with cost and gain, their sum with its interval, and realised gains, as JSON.

    Args:
        edition: Where from.
        address: The wallet, in any case.
        now: Seconds since 1970.

    Raises:
        UnknownWalletError: No token is known to be or have been held by it.
    """
    document = {**wallet_gains(edition, address), "as_of": as_of_text(edition.pointer)}
    return answer(as_json(document), edition.pointer, now)


def wallet_gains(edition: Edition, address: str) -> dict[str, Any]:
    """The same as a dict, without `as_of` and the age of the data.

    Returns:
        `address`, `method`, `complete` (False when not all positions are listed and summed), `tokens`, `positions`
        (largest value first), `unrealized` (of the positions with cost and value), `realized` (sums of all disposals,
        also by year), `disposals` (newest first) and `disposals_complete`. Amounts of a position are those of all its
        units; `…_wei` are whole numbers as text, `…_eth` numbers.

    Raises:
        UnknownWalletError: No token is known to be or have been held by it.
    """
    owner = address.lower()
    body = edition.gains(owner)
    if body is None:
        raise UnknownWalletError(
            "expected an address that holds or held a token of a collection we follow, found none held by it"
        )
    stored = json.loads(body)
    positions = [_position(row, token) for row, token in _with_estimates(edition, stored["positions"])]
    positions.sort(key=lambda row: (-(row["value_eth"] or 0.0), row["collection"], row["token_id"]))
    realized = stored["realized"]
    return {
        "address": owner,
        "method": METHOD,
        "complete": len(positions) == stored["tokens"],
        "tokens": stored["tokens"],
        "unrealized": _unrealized(edition, positions),
        "realized": {**_with_ether(realized), "by_year": [_with_ether(year) for year in realized["by_year"]]},
        "disposals_complete": len(stored["disposals"]) == realized["disposals"],
        "positions": [{name: row[name] for name in row if not name.startswith("_")} for row in positions],
        "disposals": [_with_ether(row) for row in stored["disposals"]],
    }


def _with_estimates(
    edition: Edition, positions: list[dict[str, Any]]
) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each position with its published estimate, None where there is none."""
    numbers: dict[str, int | None] = {}
    for row in positions:
        name = row["collection"]
        if name not in numbers:
            found = edition.resolve(name, "name")
            numbers[name] = found[0].id if found else None
    keys = [(numbers[row["collection"]], row["token_id"]) for row in positions]
    bodies = edition.estimates([(number, token) for number, token in keys if number is not None])
    return [
        (row, None if number is None or (number, token) not in bodies else json.loads(bodies[number, token]))
        for row, (number, token) in zip(positions, keys, strict=True)
    ]


def _position(row: dict[str, Any], token: dict[str, Any] | None) -> dict[str, Any]:
    units = row["quantity"]
    cost = None if row["cost_wei"] is None else int(row["cost_wei"]) / ETHER
    valued = token is not None and token["estimate_eth"] is not None
    interval = token["interval_80_eth"] if token is not None and valued else None
    value = units * token["expected_eth"] if token is not None and valued else None
    no_value = None if valued else token["no_value_reason"] if token is not None else UNKNOWN_TOKEN
    gain = value - cost if value is not None and cost is not None else None
    return {
        **row,
        "cost_eth": cost,
        "value_eth": value,
        "interval_80_eth": None if interval is None else [units * end for end in interval],
        "grade": token["grade"] if token is not None else None,
        "no_value_reason": no_value,
        "gain_eth": gain,
        "no_gain_reason": None if gain is not None else row["unknown_basis_reason"] or no_value,
        "_market": (token["chain"] if token is not None else None) or "unknown",
        "_estimate": units * token["estimate_eth"] if token is not None and valued else None,
    }


def _unrealized(edition: Edition, positions: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums of the positions that have a cost and a value, with the interval of the gain."""
    both = [row for row in positions if row["gain_eth"] is not None]
    valued = [row for row in positions if row["value_eth"] is not None]
    total, cost = sum(row["value_eth"] for row in both), sum(row["cost_eth"] for row in both)
    lower, upper, method = interval_of(
        edition,
        [
            {
                "collection": row["collection"],
                "market": row["_market"],
                "estimate_eth": row["_estimate"],
                "lower_80_eth": None if row["interval_80_eth"] is None else row["interval_80_eth"][0],
                "upper_80_eth": None if row["interval_80_eth"] is None else row["interval_80_eth"][1],
                "expected_eth": row["value_eth"],
            }
            for row in both
        ],
    )
    return {
        "gain_eth": total - cost if both else None,
        "interval_80_eth": None if lower is None or upper is None else [lower - cost, upper - cost],
        "interval_method": method,
        "tokens": len(both),
        "value_eth": total if both else None,
        "cost_eth": cost if both else None,
        "tokens_without_cost": sum(row["cost_wei"] is None for row in positions),
        "tokens_without_value": len(positions) - len(valued),
    }


def _with_ether(row: dict[str, Any]) -> dict[str, Any]:
    """The same with `gain_eth` beside `gain_wei`."""
    wei = row["gain_wei"]
    return {**row, "gain_eth": None if wei is None else int(wei) / ETHER}
