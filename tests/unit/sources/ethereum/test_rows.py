"""Rows of the raw contract from trades: prices, currencies, collections, what is refused."""

from __future__ import annotations

from dataclasses import replace

from sources.contract import SALES
from sources.ethereum.chain import Standing
from sources.ethereum.decoders.trade import Trade, Unpriced
from sources.ethereum.rows import RowBuilder, collection_of
from sources.local_chain.logs import ALICE, BOB, ETH, NFT, USDC, WETH, moved

ARTBLOCKS = "0xa7d8d9ef8d8ce8992df33d8b8cf4aebabd5bd270"
TRADE = Trade("seaport", 0, 0, NFT, 7, price=ETH, seller=ALICE, buyer=BOB, side="listing_filled")


def rows(*trades: Trade) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    builder = RowBuilder("ethereum", frozenset({NFT, ARTBLOCKS}))
    builder.add_trades([moved(ALICE, BOB, 7)], Standing(1_700_000_000, 1_700_000_000), trades)
    batch = builder.batch(SALES)
    return batch.rows.to_pylist(), batch.rejected.to_pylist()


def test_price_and_fees_are_of_all_units_and_the_price_is_exact_in_base_units() -> None:
    (row, odd), _ = rows(
        replace(TRADE, quantity=4, fee=ETH // 40, royalty=ETH // 20),
        replace(TRADE, sub_index=1, price=10, quantity=3),
    )
    assert (row["price_raw"], row["price_native"], row["quantity"]) == (str(ETH), 1.0, 4)
    assert (row["fee_native"], row["royalty_native"]) == (0.025, 0.05)
    assert (odd["price_raw"], odd["quantity"]) == ("10", 3)


def test_currencies_have_their_own_decimals() -> None:
    (usdc, weth), _ = rows(
        replace(TRADE, currency=USDC, price=2_500_000), replace(TRADE, sub_index=1, currency=WETH)
    )
    assert (usdc["currency"], usdc["price_native"], usdc["decimals"]) == ("USDC", 2.5, 6)
    assert (weth["currency"], weth["price_native"]) == ("WETH", 1.0)


def test_an_unknown_currency_is_in_quarantine_and_not_guessed() -> None:
    good, refused = rows(TRADE, replace(TRADE, sub_index=1, currency="0x" + "9" * 40))
    assert len(good) == 1
    assert [r["reason"] for r in refused] == ["unknown_currency"]


def test_what_has_no_price_is_a_row_or_in_quarantine_but_never_gone() -> None:
    trades = [replace(TRADE, price=None, unpriced=reason, sub_index=n) for n, reason in enumerate(Unpriced)]
    good, refused = rows(*trades)
    assert [(g["price_native"], g["is_bundle_share"]) for g in good] == [(None, True)]
    assert sorted(str(r["reason"]) for r in refused) == [
        "no_single_price",
        "no_single_price",
        "no_single_price",
        "undecodable_log",
    ]
    assert all('"topics"' in str(r["payload"]) for r in refused)


def test_other_contracts_count_in_the_transaction_but_have_no_row() -> None:
    good, refused = rows(TRADE, replace(TRADE, sub_index=1, contract="0x" + "8" * 40))
    assert [g["n_in_tx"] for g in good] == [2]
    assert refused == []


def test_a_shared_contract_keeps_a_collection_for_each_project() -> None:
    good, _ = rows(replace(TRADE, contract=ARTBLOCKS, token_id=78_000_123))
    assert good[0]["collection"] == "artblocks-78" == collection_of("ethereum", ARTBLOCKS, 78_000_000)
    assert good[0]["contract"] == ARTBLOCKS
