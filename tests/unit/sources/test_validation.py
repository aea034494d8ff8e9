"""Validation: bad rows are named and kept, good rows go on, facts are not judged."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from sources.contract import RAW_TABLES, UnknownTableError
from sources.replay import replay
from sources.validation import REASONS, validate

NOW = datetime(2026, 1, 1)  # noqa: DTZ001 - UTC without a zone, as everywhere in raw
UNDATED = datetime(2025, 12, 31)  # noqa: DTZ001


def sale(**changes: object) -> dict[str, object]:
    """A good sale as text, as a CSV has it."""
    good = {
        "chain": "Ethereum",
        "collection": "punks",
        "token_id": "7",
        "tx_hash": "0x" + "Ab" * 32,
        "log_index": "3",
        "sub_index": "0",
        "event_time": "2025-06-01T12:00:00Z",
        "time_uncertainty_s": "0",
        "known_at": "2025-06-01T12:00:20Z",
        "price_native": "1.5",
        "currency": "ETH",
        "buyer": "0x" + "1" * 40,
        "source": "test",
        "source_row": "test:1",
    }
    return good | changes


def judge(*rows: dict[str, object], table: str = "sales", **options: Any):
    names = list(dict.fromkeys(k for row in rows for k in row))
    candidate = pa.table({n: pa.array([row.get(n) for row in rows], pa.string()) for n in names})
    return validate(table, candidate, now=NOW, undated_known_at=UNDATED, **options)


@pytest.mark.parametrize(
    ("changes", "reason", "column"),
    [
        ({"collection": None}, "null_key", "collection"),
        ({"token_id": ""}, "null_key", "token_id"),
        ({"event_time": None}, "null_key", "event_time"),
        ({"price_native": "1,5"}, "wrong_type", "price_native"),
        ({"log_index": "three"}, "wrong_type", "log_index"),
        ({"event_time": "yesterday"}, "unparsable_timestamp", "event_time"),
        ({"event_time": "2026-01-02", "known_at": "2026-01-02"}, "future_timestamp", "event_time"),
        ({"event_time": "1999-01-02"}, "timestamp_out_of_range", "event_time"),
        ({"known_at": "2025-05-31"}, "known_before_event", "known_at"),
        ({"price_native": "-0.1"}, "negative_price", "price_native"),
        ({"price_native": "1500000000000000000"}, "impossible_price", "price_native"),
        ({"price_native": "inf"}, "not_finite", "price_native"),
        ({"currency": "UNKNOWN"}, "unknown_currency", "currency"),
        ({"currency": None}, "null_key", "currency"),
        ({"chain": "etherium"}, "unknown_chain", "chain"),
        ({"token_id": "1.157e+77"}, "inexact_token", "token_id"),
        ({"token_id": "12.5"}, "inexact_token", "token_id"),
        ({"quantity": "12.5"}, "wrong_type", "quantity"),
        ({"event_time": "2025-06-01 12:00:00 EST"}, "unparsable_timestamp", "event_time"),
        ({"buyer": "0x12"}, "malformed_hex", "buyer"),
        ({"tx_hash": "0x" + "zz" * 32}, "malformed_hex", "tx_hash"),
        ({"quantity": "-1"}, "out_of_range", "quantity"),
    ],
)
def test_a_bad_row_names_what_was_expected_and_keeps_its_payload(
    changes: dict[str, object], reason: str, column: str
) -> None:
    batch = judge(sale(), sale(**changes, source_row="test:2"))
    assert batch.rows.column("source_row").to_pylist() == ["test:1"]
    (refused,) = batch.rejected.to_pylist()
    assert (refused["reason"], refused["column_name"]) == (reason, column)
    assert reason in REASONS
    assert refused["expected"]
    assert refused["source_row"] == "test:2"
    assert refused["status"] == "open"
    assert refused["known_at"] <= NOW
    assert json.loads(refused["payload"])["collection"] == changes.get("collection", "punks")


def test_zero_and_missing_prices_are_facts() -> None:
    batch = judge(
        sale(price_native="0"), sale(price_native=None, source_row="test:2"), sale(price_native="nan")
    )
    assert batch.rows.column("price_native").to_pylist() == [0.0, None, None]
    assert batch.rejected.num_rows == 0


def test_values_come_out_in_the_contract_s_types_and_spelling() -> None:
    (row,) = judge(
        sale(currency="weth?", event_time="2025-06-01 14:00:00+02", buyer="vitalik.eth")
    ).rows.to_pylist()
    assert row["chain"] == "ethereum"
    assert row["tx_hash"] == "0x" + "ab" * 32
    assert row["currency"] == "WETH"
    assert row["event_time"] == datetime(2025, 6, 1, 12)  # noqa: DTZ001
    assert row["buyer"] == "vitalik.eth"
    assert row["log_index"] == 3


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
def test_unix_times_are_read_in_any_unit(unit: int) -> None:
    seconds = 1_748_779_200
    candidate = pa.Table.from_pylist([sale(event_time=seconds * unit)])
    batch = validate("sales", candidate, now=NOW, undated_known_at=UNDATED)
    assert batch.rows.column("event_time").to_pylist() == [datetime(2025, 6, 1, 12)]  # noqa: DTZ001


def test_a_column_the_source_always_has_is_missed() -> None:
    row = sale()
    del row["price_native"]
    assert judge(row).rejected.num_rows == 0
    batch = judge(row, always=RAW_TABLES["sales"].names)
    assert batch.rejected.column("reason").to_pylist() == ["missing_column"]


def test_replay_lets_in_what_today_s_rules_accept() -> None:
    rejected = judge(
        sale(event_time="2026-01-02", known_at="2026-01-02", extra="x"),
        sale(currency="DOGE", source_row="test:2"),
    ).rejected
    later = replay(rejected, now=datetime(2026, 2, 1))["sales"]  # noqa: DTZ001
    assert later.rows.column("source_row").to_pylist() == ["test:1"]
    assert later.rows.column("event_time").to_pylist() == [datetime(2026, 1, 2)]  # noqa: DTZ001
    assert later.rejected.column("reason").to_pylist() == ["unknown_currency"]


def test_an_unknown_table_names_the_known_ones() -> None:
    with pytest.raises(UnknownTableError, match="sales, transfers"):
        judge(sale(), table="sails")
