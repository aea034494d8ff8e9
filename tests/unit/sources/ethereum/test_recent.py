"""Blocks that are not final: read again at their times, and what a node leaves out is neither lost nor withdrawn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sources.ethereum.chain import Block
from sources.ethereum.reorg import DOUBT
from sources.ethereum.rpc import Rpc
from sources.ethereum.source import EthereumSource
from sources.ethereum.store import Store
from sources.local_chain.logs import ALICE, BOB, NFT, moved
from tests.chain.scripted import ScriptedNode, serving

BEGIN = datetime(2023, 12, 1)  # noqa: DTZ001
EVER = (datetime(2020, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001
RECENT = 990


@pytest.fixture
def node() -> Iterator[ScriptedNode]:
    """Block 990 of 1,000 moves a token twice: the second log sets no bit of the bloom that the first does not."""
    with serving(ScriptedNode()) as node:
        node.add(RECENT, [moved(ALICE, BOB, 1), moved(ALICE, BOB, 1)])
        yield node


def source(node: ScriptedNode, cache: Path, minutes: float = 0, head: str = "latest") -> EthereumSource:
    rpc = Rpc([node.url], sleep=lambda _: None, attempts=1)
    now = BEGIN + timedelta(minutes=minutes)
    return EthereumSource(rpc, [NFT], start="900", cache=cache, head=head, now=lambda: now)


def transfers(one: EthereumSource) -> list[dict[str, Any]]:
    return [row for batch in one.read("transfers", *EVER) for row in batch.rows.to_pylist()]


def leave_out(node: ScriptedNode, left: slice) -> None:
    true_result = node.result

    def result(method: str, parameters: list[Any]) -> Any:
        found = true_result(method, parameters)
        return found[left] if method == "eth_getLogs" else found

    node.result = result  # type: ignore[method-assign]


def test_a_block_is_read_again_at_its_times_and_when_it_is_final(node: ScriptedNode, tmp_path: Path) -> None:
    def times_read() -> int:
        return sum(m == "eth_getLogs" and "blockHash" in p[0] for m, p in node.asked)

    read_at = []
    for minutes in (0, 0.5, 1, 2, 5, 6, 10, 29, 30, 60, 100, 1000):
        before = times_read()
        source(node, tmp_path, minutes).watermark()
        if times_read() > before:
            read_at.append(minutes)
    assert read_at == [0, 1, 5, 10, 30, 60]
    node.height += 50
    assert {row["finalized"] for row in transfers(source(node, tmp_path, 2000))} == {False}
    node.height += 100
    before = times_read()
    assert {row["finalized"] for row in transfers(source(node, tmp_path, 2001))} == {True}
    assert times_read() > before


def test_a_log_that_a_node_first_left_out_is_found_later_and_known_then(
    node: ScriptedNode, tmp_path: Path
) -> None:
    true_result = node.result
    leave_out(node, slice(-1))
    (first,) = transfers(source(node, tmp_path))
    assert first["known_at"] == datetime.fromtimestamp(1_700_000_000 + 12 * RECENT, UTC).replace(tzinfo=None)
    node.result = true_result  # type: ignore[method-assign]
    node.height += 5
    assert transfers(source(node, tmp_path, 0.5)) == [first]
    again = source(node, tmp_path, 1)
    rows = transfers(again)
    assert rows[0] == first
    assert [row["log_index"] for row in rows] == [0, 1]
    assert rows[1]["known_at"] == datetime.fromtimestamp(1_700_000_000 + 12 * 1005, UTC).replace(tzinfo=None)
    assert [(i.kind, i.closed_at is not None) for i in again.incidents()] == [(DOUBT, True)]
    # In a window that ends before, there is only what was known.
    early = [r for b in again.read("transfers", EVER[0], rows[1]["known_at"]) for r in b.rows.to_pylist()]
    assert early == [first]


def test_a_gap_between_the_positions_of_logs_is_not_believed(node: ScriptedNode, tmp_path: Path) -> None:
    true_result = node.result
    leave_out(node, slice(1, None))
    doubtful = source(node, tmp_path)
    assert transfers(doubtful) == []
    assert [(i.kind, i.closed_at) for i in doubtful.incidents()] == [(DOUBT, None)]
    node.result = true_result  # type: ignore[method-assign]
    assert len(transfers(source(node, tmp_path, 1))) == 2


def test_a_node_that_has_fewer_logs_than_before_is_not_believed(node: ScriptedNode, tmp_path: Path) -> None:
    rows = transfers(source(node, tmp_path))
    assert len(rows) == 2
    true_result = node.result
    leave_out(node, slice(-1))
    for minutes in (1, 2, 3):
        doubtful = source(node, tmp_path, minutes)
        assert transfers(doubtful) == rows
        (incident,) = doubtful.incidents()
        assert (incident.kind, incident.closed_at) == (DOUBT, None)
        assert f"block {RECENT}" in incident.what
    node.result = true_result  # type: ignore[method-assign]
    again = source(node, tmp_path, 4)
    assert transfers(again) == rows
    assert [i.closed_at for i in again.incidents()] == [BEGIN + timedelta(minutes=4)]


@pytest.mark.parametrize("head", ["finalized", "latest"])
def test_a_head_that_goes_back_withdraws_nothing(node: ScriptedNode, tmp_path: Path, head: str) -> None:
    node.add(910, [moved(ALICE, BOB, 7)])
    one = source(node, tmp_path, 0, head)
    rows, until = transfers(one), one.watermark()
    assert rows
    node.height -= 70 if head == "finalized" else 5
    behind = source(node, tmp_path, 1, head)
    assert transfers(behind) == rows
    assert behind.watermark() == until
    assert [i.closed_at for i in behind.incidents()] == [None]
    node.height = 1001
    again = source(node, tmp_path, 2, head)
    assert transfers(again) == rows
    assert [i.closed_at for i in again.incidents()] == [BEGIN + timedelta(minutes=2)]


def test_blocks_that_were_read_early_become_final_after_the_setting_is_changed(
    node: ScriptedNode, tmp_path: Path
) -> None:
    assert len(transfers(source(node, tmp_path))) == 2
    node.height += 100
    one = source(node, tmp_path, 20, "finalized")
    assert [row["finalized"] for row in transfers(one)] == [True, True]
    final = node.height - 64
    assert one.watermark() < datetime.fromtimestamp(1_700_000_000 + 12 * (final + 2), UTC).replace(
        tzinfo=None
    )


def test_a_contract_that_is_watched_later_is_found_in_blocks_that_are_not_final(
    node: ScriptedNode, tmp_path: Path
) -> None:
    other = "0x" + "9" * 40
    node.add(RECENT + 1, [moved(ALICE, BOB, 5, contract=other)])
    assert len(transfers(source(node, tmp_path))) == 2
    rpc = Rpc([node.url], sleep=lambda _: None)
    both = EthereumSource(rpc, [NFT, other], start="900", cache=tmp_path, head="latest", now=lambda: BEGIN)
    assert [row["contract"] for row in transfers(both)] == [NFT, NFT, other]


def test_a_store_of_the_first_version_keeps_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "ethereum.sqlite"
    with sqlite3.connect(path) as con:
        con.executescript("""
            create table blocks (number integer primary key, hash text not null, parent text not null,
                time integer not null, bloom blob not null);
            create index blocks_by_time on blocks (time);
            create table logs (block_number integer not null, log_index integer not null, tx_index integer not null,
                tx_hash text not null, address text not null, topics text not null, data blob not null,
                primary key (block_number, log_index)) without rowid;
            create table read_until (contract text primary key, block integer not null) without rowid;
            create table notes (name text primary key, value text not null) without rowid;
            insert into read_until values ('0x1', 9);
        """)
        con.execute("insert into blocks values (7, '0xaa', '0xbb', 1000, ?)", [(5).to_bytes(256, "big")])
        con.execute("insert into logs values (7, 3, 1, '0xcc', '0x1', '0xdd 0xee', ?)", [b"data"])
    for _ in range(2):
        store = Store(path)
        ((standing, (log,)),) = store.transactions(0, 2**40)
        assert (standing.time, standing.known, standing.final) == (1000, 1000, True)
        assert (log.block_hash, log.topics, log.data, log.log_index) == ("0xaa", ("0xdd", "0xee"), b"data", 3)
        assert store.newest_final() == Block(7, "0xaa", "0xbb", 1000, 5)
        assert store.read_until(["0x1"]) == {"0x1": 9}
