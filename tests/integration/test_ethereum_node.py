"""The source on a real node: what was traded is what is read, also after the node was away."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from orchestration.ingestion.ingest import ingest_window
from orchestration.resources import open_lake
from orchestration.settings import load_settings
from sources.ethereum.chain import ChainError
from sources.ethereum.decoders import blur, looksrare
from sources.ethereum.decoders.movements import TRANSFER
from sources.ethereum.rpc import NodeUnavailableError, Rpc
from sources.ethereum.source import EthereumSource
from sources.ethereum.store import Store
from sources.local_chain.logs import BOB, log, packed_sale, taker_bid
from sources.local_chain.market import ETH, Market, coin
from sources.protocol import Source
from tests.chain.node import running_node
from tests.chain.passage import Passage
from tests.chain.scripted import serving

EVER = (datetime(2020, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    """Each kind of trade once, in blocks that are final."""
    with running_node("--slots-in-an-epoch", "4") as node:
        market, accounts = Market(node), node.accounts
        seller = accounts[1]
        market.mint([seller] * 12, range(1, 13))
        node.invoke(seller, market.cards, "mint(address,uint256,uint256)", seller, 5, 10)
        market.buy(seller, accounts[2], market.token(1), ETH)
        market.accept(seller, accounts[3], market.token(2), 2 * ETH)
        market.buy(seller, accounts[2], market.card(5, 4), ETH)
        market.match(seller, accounts[4], market.token(3), 3 * ETH)
        market.sell_privately(seller, accounts[5], market.token(4), ETH // 2)
        market.sweep(accounts[6], [(seller, market.token(5), ETH), (seller, market.token(6), 2 * ETH)])
        pair = market.order(seller, [market.token(7), market.token(8)], [(coin(3 * ETH), seller)])
        market.fulfil(accounts[2], pair, 3 * ETH)
        swap = market.order(seller, [market.token(9)], [(market.token(1), seller)])
        market.fulfil(accounts[2], swap)
        node.invoke(seller, market.art, "transferFrom(address,address,uint256)", seller, BOB, 10)
        node.mine(30)
        yield market


def source(market: Market, cache: Path, *contracts: str) -> EthereumSource:
    return EthereumSource(
        Rpc([market.node.url], sleep=lambda _: None),
        contracts or (market.art, market.cards),
        start="0",
        cache=cache,
    )


def rows(
    source: Source, table: str, start: datetime = EVER[0], end: datetime = EVER[1]
) -> list[dict[str, Any]]:
    return [row for batch in source.read(table, start, end) for row in batch.rows.to_pylist()]


def refused(source: Source) -> list[str]:
    return [r for b in source.read("sales", *EVER) for r in b.rejected.column("found").to_pylist()]


def test_the_sales_are_those_that_took_place(market: Market, tmp_path: Path) -> None:
    one = source(market, tmp_path)
    sales = rows(one, "sales")
    priced = [
        (
            s["contract"],
            s["token_id"],
            s["quantity"],
            int(s["price_raw"]),
            s["currency"],
            s["side"],
            s["seller"],
            s["buyer"],
        )
        for s in sales
        if s["price_raw"] is not None
    ]
    assert sorted(map(str, priced)) == sorted(map(str, market.sold))
    bundle = [s for s in sales if s["price_raw"] is None]
    assert [(s["token_id"], s["price_native"], s["is_bundle_share"], s["n_in_tx"]) for s in bundle] == [
        ("7", None, True, 2),
        ("8", None, True, 2),
    ]
    assert refused(one) == ["swap", "swap"]
    assert {s["finalized"] for s in sales} == {True}
    fees = {s["token_id"]: (s["fee_native"], s["royalty_native"]) for s in sales}
    assert fees["1"] == (0.025, None)
    assert fees["2"] == (0.05, 0.0)


def test_the_owners_after_all_movements_are_those_on_the_chain(market: Market, tmp_path: Path) -> None:
    owner = {
        row["token_id"]: row["to_address"]
        for row in rows(source(market, tmp_path), "transfers")
        if row["contract"] == market.art
    }
    assert len(owner) == 12
    for token, held in owner.items():
        answer = market.node.call(
            "eth_call", {"to": market.art, "data": f"0x6352211e{int(token):064x}"}, "latest"
        )
        assert held == "0x" + answer[-40:]


def test_a_window_that_is_read_in_parts_or_twice_has_the_same_rows(market: Market, tmp_path: Path) -> None:
    one = source(market, tmp_path)
    whole = pa.concat_tables(b.rows for b in one.read("sales", *EVER))
    cuts = sorted({EVER[0], *whole.column("known_at").to_pylist()[::2], EVER[1]})
    again = source(market, tmp_path)
    parts = [b.rows for start, end in pairwise(cuts) for b in again.read("sales", start, end)]
    assert pa.concat_tables(parts).equals(whole)


def test_a_source_that_was_read_asks_for_no_logs_again(market: Market, tmp_path: Path) -> None:
    rows(source(market, tmp_path), "sales")
    again = source(market, tmp_path)
    rows(again, "sales")
    assert again._rpc.requests < 6  # the chain's number, the head, and blocks that must be those of before


def test_the_watermark_is_final_and_the_collections_have_names(market: Market, tmp_path: Path) -> None:
    one = source(market, tmp_path)
    newest = market.node.call("eth_getBlockByNumber", "latest", False)
    final = market.node.call("eth_getBlockByNumber", "finalized", False)
    assert int(final["number"], 16) < int(newest["number"], 16)
    assert one.watermark().timestamp() < int(newest["timestamp"], 16)
    assert max(row["known_at"] for row in rows(one, "sales")) < one.watermark()
    assert {row["name"] for row in rows(one, "collections")} == {"Test721", None}


def test_marketplaces_without_bytecode_are_replayed_at_their_addresses(tmp_path: Path) -> None:
    with running_node("--slots-in-an-epoch", "4") as node:
        market = Market(node)
        accounts, seller = node.accounts, node.accounts[1]
        sold = []
        for token, (event, price) in enumerate(
            [(packed_sale, 3 * ETH), (taker_bid, 2 * ETH), (packed_sale, ETH)], start=1
        ):
            transfer = log(market.art, TRANSFER, (seller, accounts[2], token))
            node.emit([transfer, event(market.art, token, price, seller, accounts[2])])
            sold.append((str(token), str(price), seller, accounts[2]))
        node.mine(30)
        found = rows(source(market, tmp_path, market.art), "sales")
        assert [(s["token_id"], s["price_raw"], s["seller"], s["buyer"]) for s in found] == sold
        assert [s["marketplace"] for s in found] == [blur.NAME, looksrare.NAME, blur.NAME]


def test_a_node_that_goes_away_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    with running_node("--slots-in-an-epoch", "4") as node, serving(Passage(node)) as passage:
        market = Market(node)
        market.mint([node.accounts[1]] * 6, range(1, 7))
        for token in range(1, 7):
            market.buy(node.accounts[1], node.accounts[2], market.token(token), token * ETH)
            node.mine(250)
        expected = rows(source(market, tmp_path / "whole"), "sales")
        assert len(expected) == 6
        passage.allowed = 30
        with pytest.raises(NodeUnavailableError, match="What was read is kept"):
            rows(through(passage, market, tmp_path / "cut"), "sales")
        held = Store(tmp_path / "cut" / "ethereum.sqlite").read_until([market.art])[market.art]
        assert 0 < held < 6 * 250
        passage.allowed, passage.asked = 10_000, []
        assert rows(through(passage, market, tmp_path / "cut"), "sales") == expected
        assert min(first for first, last in passage.ranges() if last - first > 100) == held + 1


def through(passage: Passage, market: Market, cache: Path) -> EthereumSource:
    rpc = Rpc([passage.url], sleep=lambda _: None, attempts=2)
    return EthereumSource(rpc, [market.art, market.cards], start="0", cache=cache)


def test_a_node_of_another_chain_is_refused(market: Market, tmp_path: Path) -> None:
    rows(source(market, tmp_path / "one"), "sales")
    with running_node("--slots-in-an-epoch", "4", genesis=1_600_000_000) as other:
        other.mine(200)
        copied = tmp_path / "two"
        shutil.copytree(tmp_path / "one", copied)
        strange = EthereumSource(Rpc([other.url]), [market.art], start="0", cache=copied)
        with pytest.raises(ChainError, match="of another chain"):
            strange.watermark()
    polygon = EthereumSource(Rpc([market.node.url]), [market.art], start="0", cache=tmp_path, chain="polygon")
    with pytest.raises(ChainError, match="found chain 1"):
        polygon.watermark()


def test_a_contract_that_is_watched_later_fills_the_days_that_were_delivered(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_RPC_URLS", market.node.url)
    lake = open_lake(
        load_settings(home=tmp_path / "home", source="ethereum", contracts=market.art, start="0")
    )

    def ingest(*contracts: str) -> tuple[int, dict[str, int]]:
        one = source(market, tmp_path / "cache", *contracts)
        reports = ingest_window(
            lake, one, ["sales", "transfers", "collections"], one.first_known(), one.watermark()
        )
        with lake.read() as con:
            counts = {
                t: con.execute(f"select count(*) from raw.{t}").fetchone()[0]
                for t in ("sales", "transfers", "collections", "quarantine")
            }
        return sum(r.days for r in reports.values()), counts

    first, few = ingest(market.art)
    assert first > 0
    assert ingest(market.art) == (0, few)
    later, all_rows = ingest(market.art, market.cards)
    assert later > 0
    assert all_rows["sales"] == few["sales"] + 1
    assert all_rows["collections"] == 2
    assert ingest(market.art, market.cards) == (0, all_rows)
    assert few["quarantine"] == 2
