"""Lists beside lists, links beside files, and rows that say themselves that they do not count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sources.contract import RAW_TABLES
from tests.unit.sources.conftest import files, read_all

pytestmark = pytest.mark.slow

CATS, DOGS = "0x" + "c" * 40, "0x" + "d" * 40
HEADER = "contract,token_id,timestamp,price_eth,seller,tx_hash"


def sale(i: int, **more: Any) -> dict[str, Any]:
    day = f"2025-03-{i:02d}T10:00:00Z"
    return {
        "contract": CATS,
        "token_id": i,
        "timestamp": day,
        "price_eth": 1,
        "tx_hash": f"0x{i:064x}",
    } | more


def line(i: int, **more: str) -> str:
    row = sale(i, seller=f"0x{i:040x}") | more
    return ",".join(str(row[name]) for name in HEADER.split(","))


def test_each_list_of_a_document_is_read_as_its_own_kind(tmp_path: Path) -> None:
    document = {
        "data": {
            "users": [{"name": f"wallet {i}", "size": i} for i in range(9)],
            "sales": [sale(i) for i in range(1, 5)],
            "asks": [sale(i, tx_hash=None, maker=DOGS) for i in range(1, 7)],
            "transfers": [sale(i, **{"from": DOGS, "to": CATS}) for i in range(1, 4)],
            "tokens": [{"contract": CATS, "tokenId": 1, "traits": [{"trait_type": "Hat", "value": "Cap"}]}],
        }
    }
    source = files(tmp_path, export__json=json.dumps(document))
    read = {name: read_all(source, name)[0].to_pylist() for name in RAW_TABLES}
    counts = {"sales": 4, "listings": 6, "transfers": 3, "token_traits": 1}
    assert {name: len(read[name]) for name in counts} == counts
    assert {r["side"] for r in read["listings"]} == {"ask"}, "the list's key says it"
    assert {r["source_row"] for r in read["transfers"]} == {
        f"export.json/data.transfers:{i}" for i in range(3)
    }
    assert {r["source"] for name in counts for r in read[name]} == {"files:export"}
    reports = {r.file: r.table for r in source.inventory()}
    assert reports["export.json"] == "sales", "though another list is longer"
    assert reports["export.json/data.users"] is None
    assert any(one.startswith("export.json/data.users: left out") for one in source.left_out())


def test_a_mapping_leaves_out_one_list_or_the_document_with_all_of_them(tmp_path: Path) -> None:
    document = json.dumps({"sales": [sale(1)], "transfers": [sale(2, **{"from": DOGS, "to": CATS})]})
    for pattern, left in (("a.json/transfers", ["a.json"]), ("a.json", [])):
        (tmp_path / "assay.yaml").write_text(f'files: {{"{pattern}": ignore}}')
        source = files(tmp_path, a__json=document, sales__csv=f"{HEADER}\n{line(3)}\n")
        assert [r.file for r in source.inventory() if r.table and r.file != "sales.csv"] == left


@pytest.mark.parametrize("name", ["asks", "open_bids", "collection_offers"])
def test_a_file_that_is_called_after_orders_holds_no_sales(tmp_path: Path, name: str) -> None:
    source = files(
        tmp_path, sales__csv=f"{HEADER}\n{line(1)}\n", **{f"{name}__csv": f"{HEADER}\n{line(2)}\n"}
    )
    assert [read_all(source, table)[0].num_rows for table in ("sales", "listings")] == [1, 1]


UNDONE = {
    "a deleted sale": {"isDeleted": "true"},
    "a log that a reorganisation removed": {"removed": "True"},
    "a transaction that failed": {"status": "failed"},
    "no success": {"tx_success": "false"},
    "a receipt": {"txreceipt_status": "0"},
}


@pytest.mark.parametrize("stated", UNDONE.values(), ids=UNDONE.keys())
def test_an_event_that_was_undone_is_refused(tmp_path: Path, stated: dict[str, str]) -> None:
    ((name, word),) = stated.items()
    other = {"true": "false", "True": "False", "failed": "success", "false": "true", "0": "1"}[word]
    source = files(tmp_path, sales__csv=f"{HEADER},{name}\n{line(1)},{other}\n{line(2)},{word}\n{line(3)},\n")
    rows, rejected = read_all(source, "sales")
    assert rows.column("token_id").to_pylist() == ["1", "3"]
    assert rejected.column("reason").to_pylist() == ["undone"]


@pytest.mark.parametrize("spoilt", ["1.49E+47", "eip155:1:" + CATS, "https://x.io/" + CATS, "0x123"])
@pytest.mark.parametrize("column", ["contract", "seller"])
def test_what_is_no_address_is_no_account_of_its_own(tmp_path: Path, column: str, spoilt: str) -> None:
    source = files(tmp_path, sales__csv=f"{HEADER}\n{line(1)}\n{line(2, **{column: spoilt})}\n")
    rows, rejected = read_all(source, "sales")
    assert rows.column("token_id").to_pylist() == ["1"]
    assert rejected.column("reason").to_pylist() == ["malformed_hex"]


RATES = {
    "thousands": ("2,000.5", "3,000.00", ","),
    "dollars": ("$2,000.5", "US$ 3000", ","),
    "a decimal comma": ("2.000,5", "3000,0", ";"),
    "a symbol behind": ("2000.5 USD", "3000 $", ","),
}


@pytest.mark.parametrize("given", RATES.values(), ids=RATES.keys())
def test_rates_are_read_as_prices_are(tmp_path: Path, given: tuple[str, str, str]) -> None:
    *cells, mark = given
    lines = [mark.join(("date", "symbol", "usd"))]
    lines += [mark.join((f"2025-02-0{i}", "ETH", f'"{cell}"')) for i, cell in enumerate(cells, 1)]
    source = files(tmp_path, sales__csv=f"{HEADER}\n{line(1)}\n", rates__csv="\n".join(lines))
    assert read_all(source, "exchange_rates")[0].column("rate").to_pylist() == [2000.5, 3000.0]


@pytest.mark.parametrize("cell", ["0", "-1", "€3,000.00", "2,000"])
def test_a_rate_that_is_none_in_dollars_or_ambiguous_is_refused(tmp_path: Path, cell: str) -> None:
    text = f'date,symbol,usd\n2025-02-01,ETH,"{cell}"\n'
    source = files(tmp_path, sales__csv=f"{HEADER}\n{line(1)}\n", rates__csv=text)
    rows, rejected = read_all(source, "exchange_rates")
    assert (rows.num_rows, rejected.num_rows) == (0, 1)


@pytest.mark.parametrize("name", ["trade_symbol", "howItWasPaid"])
def test_a_column_of_currencies_counts_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    lines = [line(i) + f",{word}" for i, word in enumerate(["USDC", "weth", "APE", "", "DOUBLOON"], 1)]
    header = HEADER.replace("price_eth", "price") + f",{name}"
    source = files(tmp_path, sales__csv="\n".join([header, *lines, *(line(i) + ",ETH" for i in range(6, 9))]))
    rows, rejected = read_all(source, "sales")
    found = [r["currency"] for r in rows.to_pylist()]
    assert found == ["USDC", "WETH", "APE", "ETH", "ETH", "ETH"]
    assert sorted(rejected.column("reason").to_pylist()) == ["null_key", "unknown_currency"]


@pytest.mark.parametrize("column", ["currency_address", "payment_token"])
def test_an_address_for_no_contract_is_the_coin_of_the_chain(tmp_path: Path, column: str) -> None:
    zero, e = "0x" + "0" * 40, "0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE"
    chains = {"polygon": "MATIC", "bsc": "BNB", "avalanche": "AVAX", "base": "ETH", "ethereum": "ETH"}
    header = HEADER.replace("price_eth", "price") + f",chain,{column}"
    lines = [line(i) + f",{chain},{(zero, e)[i % 2]}" for i, chain in enumerate(chains, 1)]
    rows, _ = read_all(files(tmp_path, sales__csv="\n".join([header, *lines])), "sales")
    assert rows.column("currency").to_pylist() == list(chains.values())


@pytest.mark.parametrize(("name", "currency"), [("Price ($)", "USD"), ("price Ξ", "ETH"), ("$_price", "USD")])
def test_a_sign_in_the_name_of_a_price_is_its_currency(tmp_path: Path, name: str, currency: str) -> None:
    source = files(tmp_path, sales__csv=f"{HEADER.replace('price_eth', name)}\n{line(1)}\n")
    assert read_all(source, "sales")[0].column("currency").to_pylist() == [currency]


def test_two_columns_of_currencies_that_differ_are_refused_and_other_words_are_none(tmp_path: Path) -> None:
    header = HEADER.replace("price_eth", "price")
    source = files(
        tmp_path,
        sales__csv=f"{header},label,fiat,note\n{line(1)},Polygon,USD,x\n",
        sales_2__csv=f"{header},first,second\n{line(2)},USDC,WETH\n",
    )
    rows, rejected = read_all(source, "sales")
    assert rows.column("currency").to_pylist() == ["ETH"], "a chain and a second price are no currency"
    assert rejected.column("reason").to_pylist() == ["missing_column"]


def test_a_rate_that_is_called_as_a_price_is_none(tmp_path: Path) -> None:
    header = HEADER.replace("price_eth", "price") + ",price_usd,eth_price"
    text = "\n".join(
        [header, *(line(i, price_eth=f"{i}.5") + f",{1850 * (i + 0.5)},1850" for i in range(1, 4))]
    )
    (tmp_path / "sales.csv").write_text(text.replace("price_eth", "price"))
    source = files(tmp_path)
    assert read_all(source, "sales")[0].column("price_native").to_pylist() == [1.5, 2.5, 3.5]
    assert any("eth_price is a rate" in one for one in source.left_out())


def test_a_number_of_32_bits_that_lost_digits_is_no_id(tmp_path: Path) -> None:
    table = {name: [str(sale(i).get(name, "")) for i in (1, 2)] for name in HEADER.split(",")}
    ids = pa.array([7.0, 16777217.0], pa.float32())
    rows, rejected = read_all(files(tmp_path, sales__parquet=pa.table(table | {"token_id": ids})), "sales")
    assert rows.column("token_id").to_pylist() == ["7"]
    assert rejected.column("reason").to_pylist() == ["inexact_token"]


def test_parties_of_nftscan_are_those_of_the_sale(tmp_path: Path) -> None:
    row = sale(1, **{"from": "0x" + "1" * 40, "to": "0x" + "2" * 40, "send": CATS, "receive": DOGS})
    row |= {"trade_price": 5, "trade_symbol": "USDC", "price_eth": None}
    (one,) = read_all(files(tmp_path, n__json=json.dumps({"data": {"content": [row]}})), "sales")[
        0
    ].to_pylist()
    assert (one["seller"], one["buyer"], one["price_native"], one["currency"]) == (CATS, DOGS, 5.0, "USDC")


def test_blanks_before_a_quote_within_a_field_stay(tmp_path: Path) -> None:
    text = 'collection,token_id,timestamp,price\n"Cats, ""the first""", "1", "2025-03-01", "2"\n'
    (one,) = read_all(files(tmp_path, sales__csv=text), "sales")[0].to_pylist()
    assert (one["collection"], one["token_id"]) == ('Cats, "the first"', "1")


def test_links_are_followed_once_and_named_when_they_lead_to_nothing(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "data"
    elsewhere.mkdir()
    folder.mkdir()
    (elsewhere / "sales.csv").write_text(f"{HEADER}\n{line(1)}\n{line(2)}\n")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "again.csv").symlink_to(elsewhere / "sales.csv")
    (folder / "circle").symlink_to(folder)
    (folder / "gone.csv").symlink_to(folder / "nothing.csv")
    (folder / "itself.csv").symlink_to(folder / "itself.csv")
    source = files(folder)
    assert read_all(source, "sales")[0].num_rows == 2
    assert sum(r.emitted for r in source.inventory() if r.table == "sales") == 2
    named = {line.split(":")[0] for line in source.left_out() if "left out" in line}
    assert named >= {"circle", "gone.csv", "itself.csv"}
