"""Gains of a wallet: sums of what is known, reasons for what is not, from one version of the store."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from serving.store import lake_reader
from serving.store.gains_reader import MAX_DISPOSALS, gains_rows
from serving.store.sqlite.store import SqliteStore
from serving.views.errors import UnknownWalletError
from serving.views.gains import wallet_gains
from tests.unit.serving.market import NAMES, WHALE, Market

N = len(NAMES)


def test_gains_are_those_of_known_costs_and_the_others_have_a_reason(folder: Path) -> None:
    found = wallet_gains(SqliteStore(folder).current(), WHALE)
    assert (found["tokens"], found["complete"], found["disposals_complete"]) == (2 * N, True, True)
    by_token = {(row["collection"], row["token_id"]): row for row in found["positions"]}
    known, gift = by_token["Apes", "0"], by_token["Apes", "1"]
    assert known["cost_wei"] == str(10**18 + 1), "to the wei"
    assert (known["gain_eth"], known["no_gain_reason"]) == (pytest.approx(0.05), None)
    assert (gift["cost_wei"], gift["cost_eth"], gift["gain_eth"]) == (None, None, None)
    assert gift["value_eth"] == pytest.approx(2.05), "what has no cost has a value"
    assert (gift["no_gain_reason"], gift["acquisition_tx_hash"]) == ("received_without_price", "0xgift")

    unrealized = found["unrealized"]
    assert (unrealized["tokens"], unrealized["tokens_without_cost"]) == (N, N)
    assert unrealized["gain_eth"] == pytest.approx(0.05 * N)
    low, high = unrealized["interval_80_eth"]
    assert low < unrealized["gain_eth"] < high

    realized = found["realized"]
    assert (realized["disposals"], realized["sales"], realized["sales_without_gain"]) == (3 * N, 2 * N, N)
    assert (realized["gain_wei"], realized["gain_eth"], realized["gain_usd"]) == (
        str(N * 2 * 10**18),
        2.0 * N,
        5000.0 * N,
    )
    assert [year["year"] for year in realized["by_year"]] == [2025]
    reasons = {row["no_gain_reason"]: row["gain_wei"] for row in found["disposals"]}
    assert reasons == {"sent": None, "received_without_price": None, None: str(2 * 10**18)}


def test_an_address_that_never_had_anything_is_unknown(folder: Path) -> None:
    with pytest.raises(UnknownWalletError, match="expected an address"):
        wallet_gains(SqliteStore(folder).current(), "0xnobody")


def test_what_is_not_known_is_null_and_not_zero(tmp_path: Path) -> None:
    """Nothing sold, nothing with a cost; a token that the store does not have; more units; more than is listed."""
    market = Market(tmp_path / "home")
    market.open(("Apes",))
    wei = Decimal(10**18)
    market.change(
        "delete from marts.fct_realized_gains",
        "update marts.fct_wallet_positions set quantity = 3 where token_id = '0'",
        "update marts.fct_wallet_positions set token_id = 'gone' where token_id = '1'",
        "insert into marts.fct_wallet_positions by name select * replace ('0xgift' as wallet, '2' as token_id,"
        " null as cost_wei, null as cost_usd, 'unknown' as basis_status, 'zero_price' as unknown_basis_reason)"
        " from marts.fct_wallet_positions where token_id = '0'",
        "insert into marts.fct_realized_gains by name select '0xmany' as wallet, 'ethereum' as chain,"
        f" 'Apes' as collection, i::varchar as token_id, 1 as quantity,"
        " 'bought' as acquisition_kind, 'sold' as disposal_kind,"
        f" timestamp '2025-01-01' + to_days(i::integer) as disposed_at, 'd' || i as disposal_id, 'a' as acquisition_id,"
        f" {wei}::decimal(38,0) as cost_wei, {wei}::decimal(38,0) as proceeds_wei, 0::decimal(38,0) as gain_wei,"
        f" 'known' as basis_status from range({MAX_DISPOSALS + 7}) as r (i)",
    )
    market.publish(tmp_path / "store")
    edition = SqliteStore(tmp_path / "store").current()

    whale = wallet_gains(edition, WHALE)
    held = {row["token_id"]: row for row in whale["positions"]}
    assert held["0"]["value_eth"] == pytest.approx(3 * 1.05)
    assert held["gone"]["no_value_reason"] == "unknown-token"
    assert (held["gone"]["value_eth"], held["gone"]["gain_eth"]) == (None, None)
    assert (whale["realized"]["sales"], whale["realized"]["gain_wei"], whale["realized"]["gain_usd"]) == (
        0,
        None,
        None,
    )
    assert (whale["realized"]["by_year"], whale["disposals"]) == ([], [])

    gift = wallet_gains(edition, "0xgift")
    assert (gift["unrealized"]["gain_eth"], gift["unrealized"]["interval_80_eth"]) == (None, None)
    assert gift["positions"][0]["no_gain_reason"] == "zero_price"

    many = wallet_gains(edition, "0xMANY")
    assert (many["tokens"], many["positions"], many["unrealized"]["gain_eth"]) == (0, [], None)
    assert (len(many["disposals"]), many["disposals_complete"]) == (MAX_DISPOSALS, False)
    assert many["disposals"][0]["token_id"] == str(MAX_DISPOSALS + 6), "the newest first"
    sums = many["realized"]
    assert (sums["sales"], sums["gain_wei"], sums["gain_usd"]) == (MAX_DISPOSALS + 7, "0", None)


@pytest.mark.parametrize("size", [10**18, 10**9])
def test_documents_that_are_made_in_parts_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    market = Market(tmp_path / "home")
    market.open(("Apes", "Birds"))
    market.change(
        "insert into marts.fct_wallet_positions by name select p.* replace ('0x' || i as wallet)"
        " from marts.fct_wallet_positions as p, range(7) as r (i) where p.token_id::integer < i"
    )
    with market.lake.read() as con:
        wallets = [f"0x{i}" for i in range(9)] + [WHALE]
        whole = [row for batch in gains_rows(con, wallets) for row in batch]
        monkeypatch.setattr(lake_reader, "BYTES_A_ROW", size)  # one row fits into memory, or some
        assert [row for batch in gains_rows(con, wallets) for row in batch] == whole
    assert [wallet for wallet, _ in whole] == sorted(wallet for wallet, _ in whole)
    assert len(whole) > 5
