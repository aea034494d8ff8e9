"""Two wallets of one owner and a stranger: what they did, by the marts, and what it is worth."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.tables.registry import TABLES, table
from ml.tables.writing import append

NOW = datetime(2022, 6, 1)  # noqa: DTZ001 - the lake's naive UTC
DAY = timedelta(days=1)
ONE, TWO, OTHER = "0xone", "0xtwo", "0xother"
ETHER = 10**18


def acquisition(
    name: str, wallet: str, token: str, days_ago: int, eth: float | None, **changes: Any
) -> dict[str, Any]:
    at = NOW - days_ago * DAY
    row = {
        "acquisition_id": name,
        "chain": "ethereum",
        "collection": "apes",
        "token_id": token,
        "wallet": wallet,
        "kind": "received" if eth is None else "bought",
        "from_wallet": OTHER,
        "acquired_at": at,
        "known_at": at,
        "tx_hash": f"0x{name}",
        "log_index": 0,
        "quantity": 1,
        "until_unit": 1,
        "cost_wei": None if eth is None else int(eth * ETHER),
        "cost_usd": None if eth is None else eth * 1000,
        "basis_status": "unknown" if eth is None else "known",
        "unknown_basis_reason": "received_without_price" if eth is None else None,
    }
    return {**row, **changes}


def disposal(
    name: str, wallet: str, token: str, days_ago: int, eth: float | None, **changes: Any
) -> dict[str, Any]:
    at = NOW - days_ago * DAY
    row = {
        "disposal_id": name,
        "chain": "ethereum",
        "collection": "apes",
        "token_id": token,
        "wallet": wallet,
        "kind": "sent" if eth is None else "sold",
        "to_wallet": OTHER,
        "disposed_at": at,
        "known_at": at,
        "tx_hash": f"0x{name}",
        "log_index": 0,
        "quantity": 1,
        "until_unit": 1,
        "price_wei": None if eth is None else int(eth * ETHER),
        "proceeds_wei": None if eth is None else int(eth * ETHER),
        "proceeds_usd": None if eth is None else eth * 2000,
        "no_proceeds_reason": "no_sale" if eth is None else None,
    }
    return {**row, **changes}


def position(wallet: str, token: str, eth: float | None, quantity: int = 1) -> dict[str, Any]:
    return {
        "wallet": wallet,
        "chain": "ethereum",
        "collection": "apes" if token != "9" else "birds",
        "token_id": token,
        "quantity": quantity,
        "cost_wei": None if eth is None else int(eth * ETHER),
        "basis_status": "unknown" if eth is None else "known",
    }


def write(lake: Lake, name: str, rows: list[dict[str, Any]]) -> None:
    declared = table(name)
    with lake.write("test rows") as con:
        append(con, name, pa.Table.from_pylist(rows, schema=declared.arrow()))


def estimate(token: str, eth: float, as_of: datetime = NOW, collection: str = "apes") -> dict[str, Any]:
    return {
        "collection": collection,
        "token_id": token,
        "estimate_eth": eth,
        "lower_80_eth": eth / 2,
        "upper_80_eth": eth * 2,
        "lower_90_eth": eth / 3,
        "upper_90_eth": eth * 3,
        "expected_eth": eth * 1.1,
        "grade": "B",
        "tier": "pooled",
        "model_version": "apes@1",
        "prior_version": "p1",
        "as_of": as_of,
        "snapshot_id": 1,
    }


@pytest.fixture
def owned(tmp_path: Path) -> Lake:
    """Token 1 was bought by one and moved to two; 2 was a gift; 3 was sold; 4 sold with unknown cost; 5 sent."""
    lake = Lake(LakeConfig(home=tmp_path), TABLES)
    write(
        lake,
        "marts.fct_acquisitions",
        [
            acquisition("a1", ONE, "1", 400, 1.0),
            acquisition("move", TWO, "1", 100, None, from_wallet=ONE),
            acquisition("a2", TWO, "2", 50, None),
            acquisition("a3", ONE, "3", 380, 2.0),
            acquisition("a4", ONE, "4", 90, None),
            acquisition("a5", ONE, "5", 80, 0.5),
            acquisition("b3", OTHER, "3", 10, 3.0),
        ],
    )
    write(
        lake,
        "marts.fct_disposals",
        [
            disposal("move", ONE, "1", 100, None, to_wallet=TWO),
            disposal("d3", ONE, "3", 10, 3.0),
            disposal("d4", ONE, "4", 9, 4.0),
            disposal("d5", ONE, "5", 8, None),
        ],
    )
    write(
        lake,
        "marts.fct_wallet_positions",
        [
            position(TWO, "1", None),
            position(TWO, "2", None),
            position(OTHER, "3", 3.0),
            position(OTHER, "9", 1.0),
        ],
    )
    facts = {"lowest_ask_eth": 1.5, "lowest_ask_at": NOW - DAY, "live_asks": 20, "floor_proxy_eth": 1.4}
    rows = [
        {**estimate(token, eth), **facts, "last_sale_eth": 1.0}
        for token, eth in (("1", 2.0), ("2", 3.0), ("3", 4.0))
    ]
    nothing = {
        "collection": "birds",
        "token_id": "9",
        "tier": "none",
        "no_value_reason": "fewer_than_3_sales",
        "as_of": NOW,
    }
    write(lake, "predictions.token_estimates", [*rows, nothing])
    write(lake, "predictions.estimate_history", [estimate("1", 1.6, NOW - 7 * DAY), estimate("1", 2.0)])
    with lake.write("collections") as con:
        con.execute(
            "insert into marts.dim_collections by name select c as collection, 'ethereum' as \"chain\""
            " from (values ('apes'), ('birds')) t (c)"
        )
        con.execute(
            "insert into raw.exchange_rates by name select 'ETH' as symbol, 'USD' as quote, 2500.0 as rate, 'hour' as"
            " granularity, $1::timestamp as event_time, $1::timestamp as known_at, 's' as source, 'r' as source_row",
            [NOW - DAY],
        )
    return lake
