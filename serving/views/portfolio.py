"""What tokens are worth together: those of an address, or a list of them.

Here: the sum and its interval, from the store's own rows. Not here: the risk behind it (`ml.portfolio`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from serving.store.documents import RISK, as_json
from serving.store.protocol import Edition
from serving.views.answer import answer, array, as_of_text
from serving.views.collections import find_collection
from serving.views.errors import UnknownWalletError, ViewError

MAX_HELD = 5_000
"""Positions of an address that are valued: the interval of a sum costs the square of their number."""

UNKNOWN_TOKEN = "unknown-token"


def wallet_answer(edition: Edition, address: str, now: float) -> bytes:
    """Positions of an address, their value and its interval; the most valuable positions first.

    Raises:
        UnknownWalletError: No token is known to be held by it.
    """
    owner = address.lower()
    rows = edition.holdings(owner, MAX_HELD + 1)
    if not rows:
        raise UnknownWalletError(
            "expected an address that holds a token of a collection we follow, found none held by it"
        )
    bodies = [row.body for row in rows[:MAX_HELD]]
    document = {"address": owner, "complete": len(rows) <= MAX_HELD, **_value(edition, bodies, [])}
    return _answer(edition, document, bodies, now)


def portfolio_answer(edition: Edition, asked: Sequence[tuple[str, str]], now: float) -> bytes:
    """The value of a posted list; a token named twice counts once."""
    keys: dict[tuple[int, str], tuple[str, str]] = {}
    missing: list[dict[str, Any]] = []
    for identifier, token in dict.fromkeys(asked):
        try:
            keys.setdefault((find_collection(edition, identifier).id, token), (identifier, token))
        except ViewError as error:
            missing.append({"collection": identifier, "token_id": token, "reason": error.kind})
    found = edition.estimates(list(keys))
    missing += [
        {"collection": identifier, "token_id": token, "reason": UNKNOWN_TOKEN}
        for key, (identifier, token) in keys.items()
        if key not in found
    ]
    bodies = [found[key] for key in keys if key in found]
    return _answer(edition, _value(edition, bodies, missing), bodies, now)


def _answer(edition: Edition, document: dict[str, Any], bodies: list[bytes], now: float) -> bytes:
    body = b'%b,"positions":%b,"as_of":%b}' % (
        as_json(document)[:-1],
        array(bodies),
        as_json(as_of_text(edition.pointer)),
    )
    return answer(body, edition.pointer, now)


def _value(edition: Edition, bodies: list[bytes], missing: list[dict[str, Any]]) -> dict[str, Any]:
    tokens = [json.loads(body) for body in bodies]
    valued = [_row(token) for token in tokens if token["estimate_eth"] is not None]
    unvalued = [
        {"collection": token["collection"], "token_id": token["token_id"], "reason": token["no_value_reason"]}
        for token in tokens
        if token["estimate_eth"] is None
    ]
    total = float(sum(row["expected_eth"] for row in valued))
    lower, upper, method = interval_of(edition, valued)
    return {
        "value_eth": total if valued else None,
        "interval_80_eth": None if lower is None else [lower, upper],
        "interval_method": method,
        "tokens": len(tokens) + len(missing),
        "tokens_valued": len(valued),
        "without_value": [*unvalued, *missing],
    }


def interval_of(edition: Edition, valued: list[dict[str, Any]]) -> tuple[float | None, float | None, str]:
    """The 80 % interval of the sum of valued tokens (`ml.portfolio.interval`), by the risk that was published."""
    from ml.portfolio.interval import portfolio_interval
    from ml.portfolio.risk import PortfolioRisk, RiskConfig

    stored = json.loads(edition.document(RISK) or b"{}")
    risks = {market: PortfolioRisk(**risk) for market, risk in stored.items()}
    total = float(sum(row["expected_eth"] for row in valued))
    return portfolio_interval(valued, total, risks, RiskConfig())


def _row(token: dict[str, Any]) -> dict[str, Any]:
    low, high = token["interval_80_eth"] or (None, None)
    return {
        "collection": token["collection"],
        "market": token["chain"] or "unknown",
        "estimate_eth": token["estimate_eth"],
        "lower_80_eth": low,
        "upper_80_eth": high,
        "expected_eth": token["expected_eth"],
    }
