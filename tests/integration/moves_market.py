"""Transfers beside a market's sales: mints, airdrops, gifts, loans, several units, a wrapper, hops in a transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tests.integration.marts_market import DAY, START, Row, sale

ZERO = "0x" + "0" * 40
LOANS = "0x88341d1a8f672d2780c8dc725902aae72f143b0c"
WRAPPER, WRAPPED = "0xb7f7f6c52f2e2fdb1963eab30438024864c313f6", "0xb47e3cd837ddf8e4c57f05d70ab865de6e193bbb"
"""Custody contracts of the seed: tokens of `WRAPPER` are those of `WRAPPED` under the same id."""


def transfer(number: int, at: datetime, token: str, giver: str, receiver: str, **changes: Any) -> Row:
    """A transfer that is known at once; `changes` make it special."""
    row: Row = {
        "chain": "ethereum",
        "collection": "apes",
        "contract": "0xa",
        "token_id": token,
        "tx_hash": f"0xm{number:063x}",
        "log_index": 0,
        "sub_index": 0,
        "event_time": at,
        "time_uncertainty_s": 0.0,
        "known_at": at,
        "from_address": giver,
        "to_address": receiver,
        "quantity": None,
        "source": "one",
        "source_row": f"m:{number}:{changes.get('log_index', 0)}",
    }
    return {**row, **changes}


def add_moves(rng: np.random.Generator, tables: dict[str, list[Row]], days: int = 24) -> None:
    """Mints, airdrops, gifts, loans, several units of one token, a wrapper, and hops within a transaction."""
    names, moves = [f"c{i}" for i in range(4)], tables["transfers"]
    for n in range(18):
        moves.append(transfer(n, START - DAY, str(n), ZERO, f"0xw{n % 9}", collection=names[1]))
    for n in range(6):  # one transaction to several wallets
        drop = {"collection": names[2], "log_index": n, "tx_hash": "0xdrop"}
        moves.append(transfer(100 + n, START, f"d{n}", ZERO, f"0xw{n}", **drop))
    for n in range(8):  # a part of what was minted is given away
        units = {"collection": names[0], "quantity": 5}
        moves.append(transfer(120 + n, START, f"part{n}", ZERO, "0xw0", **units))
        given = {**units, "quantity": 2}
        moves.append(transfer(140 + n, START + DAY, f"part{n}", "0xw0", "0xw1", **given))
    for number in range(200, 440):
        at = START + timedelta(seconds=int(rng.integers(0, days * 86_400)))
        one, two = (f"0xw{i}" for i in rng.choice(9, size=2, replace=False))
        kind, name, token = rng.random(), str(rng.choice(names)), str(rng.integers(0, 18))
        where = {"collection": name}
        if kind < 0.2:
            moves.append(transfer(number, at, token, one, two, **where))
        elif kind < 0.35:
            moves.append(transfer(number, at, token, one, LOANS, **where))
        elif kind < 0.5:
            moves.append(transfer(number, at, token, LOANS, two, **where))
        elif kind < 0.8:  # several units, some of them in a loan, some sold for less than all
            giver = str(rng.choice([ZERO, one, one, LOANS]))
            receiver = str(rng.choice([two, two, LOANS]))
            units = {"quantity": int(rng.integers(1, 6)), "collection": names[0]}
            moves.append(transfer(number, at, f"m{token}", giver, receiver, **units))
            if rng.random() < 0.6:
                tables["sales"].append(
                    sale(
                        5000 + number,
                        at=at,
                        tx_hash=moves[-1]["tx_hash"],
                        token_id=f"m{token}",
                        seller=giver,
                        buyer=receiver,
                        price_native=float(np.round(rng.uniform(1, 3), 3)),
                        fee_native=0.01,
                        gas_native=0.001,
                        gas_payer=receiver,
                        source_row=f"many:{number}",
                        **units,
                    )
                )
        elif kind < 0.9:  # a contract buys and passes on
            moves.append(transfer(number, at, token, one, "0xcarrier", **where))
            moves.append(transfer(number, at, token, "0xcarrier", two, log_index=1, **where))
        else:
            _wrap(rng, moves, number, at, one, two)


def _wrap(rng: np.random.Generator, moves: list[Row], number: int, at: datetime, one: str, two: str) -> None:
    token = str(rng.integers(0, 4))
    inner, outer = {"collection": "punks", "contract": WRAPPED}, {"collection": "wpunks", "contract": WRAPPER}
    kind = rng.random()
    if kind < 0.4:
        moves.append(transfer(number, at, token, one, WRAPPER, **inner))
        moves.append(transfer(number, at, token, ZERO, one, log_index=1, **outer))
    elif kind < 0.7:
        moves.append(transfer(number, at, token, one, two, **outer))
    else:
        moves.append(transfer(number, at, token, two, ZERO, **outer))
        moves.append(transfer(number, at, token, WRAPPER, two, log_index=1, **inner))
