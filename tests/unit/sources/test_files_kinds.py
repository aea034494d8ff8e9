"""Files of people, kind by kind: layouts of text and JSON, times, traits, rates and names that mean one thing only."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sources.files.reading.encodings import find_layout
from sources.files.source import FilesSource
from tests.unit.sources.conftest import NOW, files, read_all

pytestmark = pytest.mark.slow

HEADER = ["collection", "token_id", "timestamp", "price_eth", "seller", "tx_hash"]
ROWS = [
    ["Cats", str(i), f"2025-03-{i:02d}T10:{i:02d}:30Z", f"1.{i:02d}", f"0x{i:040x}", f"0x{i:064x}"]
    for i in range(1, 25)
]
PLAIN = "\n".join(",".join(line) for line in [HEADER, *ROWS]) + "\n"
MINT = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"


def sales(folder: Path, **content: str | bytes) -> list[dict[str, Any]]:
    rows, rejected = read_all(files(folder, **content), "sales")
    assert rejected.num_rows == 0, rejected.to_pylist()[:2]
    return rows.to_pylist()


def column(name: str, values: list[str]) -> str:
    """The plain table with other values in one column."""
    at = HEADER.index(name)
    rows = [[*row[:at], value, *row[at + 1 :]] for row, value in zip(ROWS, values, strict=False)]
    return "\n".join(",".join(f'"{c}"' for c in line) for line in [HEADER, *rows]) + "\n"


def seen(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(r["collection"], r["token_id"], r["event_time"], r["price_native"], r["tx_hash"]) for r in rows]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    return seen(sales(tmp_path_factory.mktemp("plain"), sales__csv=PLAIN))


TEXTS = {
    "a title and a blank line": "NFT sales of March\n\n" + PLAIN,
    "a title in a row of empty fields": "NFT sales" + "," * 5 + "\n" + "," * 5 + "\n" + PLAIN,
    "a separator at the end of rows": PLAIN.split("\n", 1)[0]
    + "\n"
    + PLAIN.split("\n", 1)[1].replace("\n", ",\n"),
    "row numbers without a name": PLAIN.split("\n", 1)[0]
    + "".join(f"\n{i},{','.join(row)}" for i, row in enumerate(ROWS, 1)),
    "blanks before quotes": "\n".join(", ".join(f'"{c}"' for c in line) for line in [HEADER, *ROWS]),
    "single quotes": "\n".join(",".join(f"'{c}'" for c in line) for line in [HEADER, *ROWS]),
    "JSON of objects": json.dumps([dict(zip(HEADER, row, strict=True)) for row in ROWS]),
    "objects one after another": "\n".join(
        json.dumps(dict(zip(HEADER, r, strict=True)), indent=1) for r in ROWS
    ),
    "columns of pandas": json.dumps(
        {n: {str(i): r[at] for i, r in enumerate(ROWS)} for at, n in enumerate(HEADER)}
    ),
    "rows under their keys": json.dumps({r[5]: dict(zip(HEADER, r, strict=True)) for r in ROWS}),
    "lists beside their names": json.dumps({"columns": HEADER, "index": list(range(24)), "data": ROWS}),
    "lists beside objects of names": json.dumps({"columns": [{"name": n} for n in HEADER], "data": ROWS}),
    "a list of pages": json.dumps(
        [
            {"sales": [dict(zip(HEADER, r, strict=True)) for r in ROWS[i : i + 8]], "next": "x"}
            for i in (0, 8, 16)
        ]
    ),
    "edges of GraphQL": json.dumps(
        {
            "data": {
                "sales": {"edges": [{"cursor": "x", "node": dict(zip(HEADER, r, strict=True))} for r in ROWS]}
            }
        }
    ),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_one_table_in_many_layouts(tmp_path: Path, plain: list[tuple[Any, ...]], text: str) -> None:
    assert seen(sales(tmp_path, sales__txt=text)) == plain


def test_a_stream_of_arrow_is_read(tmp_path: Path, plain: list[tuple[Any, ...]]) -> None:
    table = pa.table({n: [row[i] for row in ROWS] for i, n in enumerate(HEADER)})
    with (
        pa.OSFile(str(tmp_path / "sales.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    assert seen(read_all(FilesSource(tmp_path, now=NOW), "sales")[0].to_pylist()) == plain


def test_quotes_after_a_backslash_and_backslashes_that_mean_else(tmp_path: Path) -> None:
    (one,) = sales(
        tmp_path, sales__csv='collection,token_id,timestamp,price\n"The \\"B\\", Cats",1,2025-03-01,1\n'
    )
    assert one["collection"] == 'The "B", Cats'
    layout = find_layout(b'a,b\n"x \\"y\\" z",\\N\n', "x.csv")
    assert layout.escape is None


@pytest.mark.parametrize("name", [b"Caf\xe9", b"\xd6sterreich"])
def test_a_line_that_is_neither_whole_nor_utf8_costs_itself_only(tmp_path: Path, name: bytes) -> None:
    source = files(tmp_path, sales__csv=PLAIN.encode() + name + b",too,few\n")
    rows, rejected = read_all(source, "sales")
    assert rows.num_rows == len(ROWS)
    (refused,) = rejected.to_pylist()
    assert (refused["reason"], refused["source_row"]) == ("wrong_field_count", "sales.csv:26")
    assert "\\x" in refused["found"]


def test_a_nul_is_refused_with_its_row(tmp_path: Path) -> None:
    rows, rejected = read_all(files(tmp_path, sales__csv=PLAIN + "Bad\0Cats,1,2025-03-01,1,,\n"), "sales")
    assert rows.num_rows == len(ROWS)
    (refused,) = rejected.to_pylist()
    assert (refused["reason"], refused["column_name"], refused["found"]) == (
        "nul_character",
        "collection",
        "Bad\\0Cats",
    )
    assert "\0" not in "".join(str(v) for v in refused.values())


TIMES = {
    "seconds as a spreadsheet's days": [f"{45717 + i}.5" for i in range(24)],
    "14 digits": [f"202503{i:02d}120000" for i in range(1, 25)],
    "hex": [hex(1740830400 + 86400 * i) for i in range(24)],
    "of a browser": [
        f"Sat Mar {i:02d} 2025 12:00:00 GMT+0000 (Coordinated Universal Time)" for i in range(1, 25)
    ],
    "with an offset of a browser": [
        f"Sat Mar {i:02d} 2025 14:00:00 GMT+0200 (Central Time)" for i in range(1, 25)
    ],
    "month first, two digits of a year": [f"03/{i:02d}/25 12:00:00" for i in range(1, 25)],
    "in words with seconds": [f"Mar {i}, 2025, 12:00:00 PM" for i in range(1, 25)],
    "year last": [f"Sat Mar {i:02d} 12:00:00 2025" for i in range(1, 25)],
}


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES.keys())
def test_times_in_many_forms(tmp_path: Path, times: list[str]) -> None:
    found = sales(tmp_path, sales__csv=column("timestamp", times))
    assert [r["event_time"] for r in found] == [datetime(2025, 3, i, 12) for i in range(1, 25)]  # noqa: DTZ001
    assert {r["time_uncertainty_s"] for r in found} == {0.0}


def test_times_without_seconds_are_known_to_the_minute(tmp_path: Path) -> None:
    times = [f"2025-03-{i:02d} 10:{i:02d}" for i in range(1, 25)]
    assert {r["time_uncertainty_s"] for r in sales(tmp_path, sales__csv=column("timestamp", times))} == {60.0}
    times[3] += ":30"
    assert {r["time_uncertainty_s"] for r in sales(tmp_path, sales__csv=column("timestamp", times))} == {0.0}


def test_a_date_and_an_hour_are_known_to_the_hour(tmp_path: Path) -> None:
    lines = [f"Cats,{i},2025-03-{i:02d},{hour},1" for i, hour in enumerate(["0", "7", "07", "23", ""], 1)]
    text = "\n".join(["collection,token_id,date,hour,price", *lines])
    found = {
        r["token_id"]: (r["event_time"], r["time_uncertainty_s"]) for r in sales(tmp_path, sales__csv=text)
    }
    hours = {r[0]: r[1].hour for r in ((i, at) for i, (at, _) in found.items())}
    assert hours == {"1": 0, "2": 7, "3": 7, "4": 23, "5": 12}
    assert [found[i][1] for i in "12345"] == [3600.0, 3600.0, 3600.0, 3600.0, 43200.0]


def test_a_number_of_days_among_other_times_is_no_time(tmp_path: Path) -> None:
    source = files(tmp_path, sales__csv=column("timestamp", ["45717.5", *(r[2] for r in ROWS[1:])]))
    assert read_all(source, "sales")[1].column("reason").to_pylist() == ["unparsable_timestamp"]


ATTRIBUTES = [
    {"trait_type": "Hat", "value": "Cap"},
    {"trait_type": "Level", "value": 3.0},
    {"trait_type": "Fur", "value": None},
]
TRAITS = {
    "a column each": "collection,token_id,name,image_url,rarity_rank,Hat,Level,Fur\nCats,1,C,ipfs://x,7,Cap,3,\n",
    "columns with a prefix": "collection,token_id,foo,trait_Hat,trait_Level,trait_Fur\nCats,1,x,Cap,3,\n",
    "a list in JSON": "collection;token_id;attributes\nCats;1;"
    + '"{}"\n'.format(json.dumps(ATTRIBUTES).replace('"', '""')),
    "a list as Python prints it": f'collection;token_id;attributes\nCats;1;"{ATTRIBUTES}"\n',
    "an object": 'collection;token_id;traits\nCats;1;"{""Hat"": ""Cap"", ""Level"": 3, ""Fur"": null}"\n',
    "whole metadata": 'collection;token_id;metadata\nCats;1;"{""name"": ""x"", ""traits"": '
    '[{""key"": ""Hat"", ""value"": ""Cap""}, {""key"": ""Level"", ""value"": 3}, {""key"": ""Fur""}]}"\n',
    "an answer of an API": json.dumps(
        {"nfts": [{"token_id": "1", "collection": "Cats", "raw": {"traits": ATTRIBUTES}}]}
    ),
}


@pytest.mark.parametrize("text", TRAITS.values(), ids=TRAITS.keys())
def test_traits_in_many_shapes(tmp_path: Path, text: str) -> None:
    source = files(tmp_path, sales__csv=PLAIN, traits__txt=text)
    rows, rejected = read_all(source, "token_traits")
    assert rejected.num_rows == 0
    found = {(r["collection"], r["token_id"], r["trait_type"]): r["trait_value"] for r in rows.to_pylist()}
    assert found == {("Cats", "1", "Hat"): "Cap", ("Cats", "1", "Level"): "3", ("Cats", "1", "Fur"): None}
    assert len(set(rows.column("source_row").to_pylist())) == 3
    (report,) = [r for r in source.inventory() if r.table == "token_traits"]
    assert (report.rows, report.emitted) == (3, 3)


def test_a_cell_that_is_no_list_costs_itself_and_one_without_attributes_is_counted(tmp_path: Path) -> None:
    source = files(
        tmp_path,
        sales__csv=PLAIN,
        traits__csv='collection;token_id;attributes\nCats;1;"[{broken"\nCats;2;[]\nCats;3;"{""Hat"": ""Cap""}"\n',
    )
    rows, rejected = read_all(source, "token_traits")
    assert rows.column("token_id").to_pylist() == ["3"]
    assert rejected.column("source_row").to_pylist() == ["traits.csv:2#1"]
    assert any("1 rows without attributes" in line for line in source.left_out())


def test_rates_with_a_column_for_each_currency_or_of_pairs(tmp_path: Path) -> None:
    source = files(
        tmp_path,
        sales__csv=PLAIN,
        rates__csv="date,ETH,ape_usd,volume\n2025-02-01,3000,1.5,9\n",
        rates_pairs__csv="date,pair,close\n2025-02-01,SOL/USD,100\n2025-02-01,USDC-USD,1\n",
        ETHUSDT__csv="open_time,open,high,low,close\n1738454400000,2999,3001,2998,3000\n",
    )
    rates, rejected = read_all(source, "exchange_rates")
    assert rejected.num_rows == 0
    assert sorted((r["symbol"], r["rate"], r["event_time"].day) for r in rates.to_pylist()) == [
        ("APE", 1.5, 1),
        ("ETH", 3000.0, 1),
        ("ETH", 3000.0, 2),
        ("SOL", 100.0, 1),
        ("USDC", 1.0, 1),
    ]


def test_a_currency_that_is_an_address_has_the_rate_of_its_contract(tmp_path: Path) -> None:
    contract = "0x" + "b" * 40
    (one,) = sales(
        tmp_path,
        sales__csv=f"collection,token_id,timestamp,price,currency_address\nCats,1,2025-03-01,600,{contract}\n",
        rates__csv=f"date,symbol,contract_address,usd\n2025-02-01,PRIME,{contract},5\n",
    )
    assert one["currency"] == "PRIME"


def test_ids_that_can_only_be_of_one_chain_give_it(tmp_path: Path) -> None:
    source = files(tmp_path, sales__csv=f"collection,mint,timestamp,price\nCats,{MINT},2025-03-01,2\n")
    (one,) = read_all(source, "sales")[0].to_pylist()
    assert (one["chain"], one["token_id"], one["currency"]) == ("solana", MINT, "SOL")
    assert any("Solana" in line for line in source.left_out())


def test_base_units_in_the_name_of_a_column(tmp_path: Path) -> None:
    (one,) = sales(
        tmp_path, sales__csv="collection,token_id,timestamp,price_gwei\nCats,1,2025-03-01,1500000000\n"
    )
    assert (one["price_native"], one["currency"]) == (1.5, "ETH")


def test_an_unknown_event_among_sales_is_no_sale_and_alone_means_nothing(tmp_path: Path) -> None:
    header = "collection,token_id,timestamp,price,event\n"
    source = files(
        tmp_path, sales__csv=header + "Cats,1,2025-03-01,1,Sold\nCats,2,2025-03-01,9,Gift Wrapped\n"
    )
    rows, rejected = read_all(source, "sales")
    assert rows.column("token_id").to_pylist() == ["1"]
    assert rejected.column("reason").to_pylist() == ["not_a_sale"]
    assert (
        len(sales(tmp_path, sales__csv=header + "Cats,1,2025-03-01,1,721\nCats,2,2025-03-01,9,1155\n")) == 2
    )


def test_a_flag_or_a_padded_zero_address_makes_a_sale_primary(tmp_path: Path) -> None:
    zero = "0x" + "0" * 64
    found = sales(
        tmp_path,
        sales__csv="collection,token_id,timestamp,price,seller,is_primary\n"
        f"Cats,1,2025-03-01,1,{zero},false\nCats,2,2025-03-01,1,0x{'1' * 40},true\nCats,3,2025-03-01,1,0x{'1' * 40},\n",
    )
    assert [r["sale_type"] for r in found] == ["primary", "primary", None]


def test_an_id_in_a_list_of_one_is_the_id_and_in_a_list_of_two_none(tmp_path: Path) -> None:
    rows, rejected = read_all(
        files(tmp_path, sales__csv=column("token_id", ['[""7""]', "[8]", "[1, 2]"])), "sales"
    )
    assert rows.column("token_id").to_pylist() == ["7", "8"]
    assert rejected.column("reason").to_pylist() == ["inexact_token"]


def test_a_name_that_is_an_address_is_the_contract(tmp_path: Path) -> None:
    contract = "0x" + "c" * 40
    (one,) = sales(
        tmp_path,
        sales__csv=f"collection,token_id,timestamp,price\n{contract.upper().replace('X', 'x')},1,2025-03-01,1\n",
    )
    assert one["contract"] == contract


def test_asks_without_a_side_are_asks(tmp_path: Path) -> None:
    source = files(
        tmp_path,
        sales__csv=PLAIN,
        asks__csv="id,kind,contract,token_id,price,maker,valid_from,valid_until\n"
        f"1,seaport,0x{'d' * 40},1,2,0x{'1' * 40},1740830400,1740930400\n",
    )
    assert [r["side"] for r in read_all(source, "listings")[0].to_pylist()] == ["ask"]


TRADE = {
    "blockchain": "ethereum", "project": "opensea", "block_time": "2025-03-01 10:00:00", "collection": "Cats",
    "token_id": "1", "nft_contract_address": "0x" + "a" * 40, "amount_original": "1.5", "currency_symbol": "ETH",
    "platform_fee_amount": "0.0375", "royalty_fee_amount": "0.075", "tx_from": "0x" + "B" * 40,
    "tx_hash": "0x" + "1" * 64, "gas_used": "150000", "gas_price": "30000000000",
}  # fmt: skip
"""A row of Dune's nft.trades joined with its transaction."""


def test_fees_and_gas_of_exports_are_read(tmp_path: Path) -> None:
    moved = {
        "timeStamp": "1740823200", "tokenID": "1", "contractAddress": "0x" + "a" * 40, "tokenName": "Cats",
        "from": "0x" + "c" * 40, "to": "0x" + "b" * 40, "hash": "0x" + "1" * 64, "gasUsed": "150000",
        "gasPrice": "30000000000", "gas": "200000",
    }  # fmt: skip
    source = files(tmp_path, trades__json=json.dumps([TRADE]), moves__json=json.dumps([moved]))
    (sold,) = read_all(source, "sales")[0].to_pylist()
    names = ("fee_native", "royalty_native", "buyer_fee_native", "gas_used", "gas_price_wei", "gas_payer")
    assert [sold[name] for name in names] == [0.0375, 0.075, None, 150_000, 30_000_000_000, "0x" + "b" * 40]
    (transfer,) = read_all(source, "transfers")[0].to_pylist()
    assert [transfer[name] for name in names[3:]] == [150_000, 30_000_000_000, None]


def test_a_gas_price_of_an_unknown_unit_is_not_read(tmp_path: Path) -> None:
    row = {**dict(zip(HEADER, ROWS[0], strict=True)), "gas_used": "150000", "gas_price": "30.5"}
    (sold,) = sales(tmp_path, sales__json=json.dumps([row]))
    assert (sold["gas_used"], sold["gas_price_wei"], sold["gas_native"]) == (150_000, None, None)
