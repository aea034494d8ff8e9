"""The files source on files people really have: few columns, odd spellings, broken ones."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from sources.contract import RAW_TABLES
from sources.files.errors import EmptyDirectoryError, MissingSalesError, NothingReadError
from sources.files.source import FilesSource
from sources.simulator.source import SimulatorSource
from tests.unit.sources.conftest import NOW, files, read_all, read_by_day

pytestmark = pytest.mark.slow

FOUR_COLUMNS = """collection,token_id,timestamp,price
cats,1,2025-03-01T10:00:00Z,1.5
cats,2,2025-03-02,0
cats,3,2025-03-03 08:00:00,
"""


def test_four_columns_are_enough(tmp_path: Path) -> None:
    source = files(tmp_path, sales__csv=FOUR_COLUMNS)
    rows, rejected = read_all(source, "sales")
    assert rejected.num_rows == 0
    one, two, three = rows.to_pylist()
    assert (one["collection"], one["token_id"], one["price_native"], one["currency"]) == (
        "cats",
        "1",
        1.5,
        "ETH",
    )
    assert one["source_row"] == "sales.csv:2"
    assert one["tx_hash"] == "row:sales.csv:2"
    # A bare day is its middle, half a day uncertain, and known when it is over.
    assert two["event_time"] == datetime(2025, 3, 2, 12)  # noqa: DTZ001
    assert two["time_uncertainty_s"] == 43200.0
    assert two["known_at"] == datetime(2025, 3, 3)  # noqa: DTZ001
    assert (two["price_native"], three["price_native"]) == (0.0, None)
    assert read_all(source, "collections")[0].column("collection").to_pylist() == ["cats"]
    for table in set(RAW_TABLES) - {"sales", "collections"}:
        assert read_all(source, table)[0].num_rows == 0


def test_by_day_is_the_same_as_at_once(tmp_path: Path) -> None:
    source = files(tmp_path, sales__csv=FOUR_COLUMNS + "cats,x,not a time,1\n,5,2025-03-01,1\n")
    whole = read_all(source, "sales")
    daily = read_by_day(source, "sales", source.first_known(), source.watermark())
    assert [t.num_rows for t in whole] == [3, 2]
    assert daily[0].equals(whole[0])
    assert daily[1].equals(whole[1])


def test_bad_rows_are_set_aside_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    body = FOUR_COLUMNS.encode() + (
        b"cats,4,2025-03-04\n"
        b"c\xffts,5,2025-03-04,1\n"
        b"cats,6,2025-03-04,-1\n"
        b"cats,,2025-03-04,1\n"
        b"cats,8,2025-03-04,cheap\n"
        b"cats,9,2031-03-04,1\n"
        b"cats,10,2025-03-04,2\n"
    )
    source = files(tmp_path, sales__csv=body)
    rows, rejected = read_all(source, "sales")
    assert rows.column("token_id").to_pylist() == ["1", "2", "3", "10"]
    assert dict(
        zip(rejected.column("source_row").to_pylist(), rejected.column("reason").to_pylist(), strict=True)
    ) == {
        "sales.csv:5": "wrong_field_count",
        "sales.csv:6": "not_utf8",
        "sales.csv:7": "negative_price",
        "sales.csv:8": "null_key",
        "sales.csv:9": "wrong_type",
        "sales.csv:10": "future_timestamp",
    }
    (report,) = source.inventory()
    assert (report.rows, report.emitted, report.rejected) == (10, 4, 6)


def test_the_price_column_s_name_gives_the_currency_when_nothing_else_does(tmp_path: Path) -> None:
    source = files(tmp_path, sales__csv=FOUR_COLUMNS.replace("price", "price_usd"))
    assert set(read_all(source, "sales")[0].column("currency").to_pylist()) == {"USD"}


def test_art_blocks_projects_are_collections_of_their_own(tmp_path: Path) -> None:
    source = files(
        tmp_path,
        sales__csv="contract,token_id,ts,price_eth\n"
        "0xA7d8d9ef8D8Ce8992Df33D8b8CF4Aebabd5bD270,78000123,2021-05-01 10:00:00,2\n"
        f"0x{'1' * 40},78000123,2021-05-01 10:00:00,2\n",
    )
    rows, _ = read_all(source, "sales")
    assert rows.column("collection").to_pylist() == ["artblocks-78", f"0x{'1' * 40}"]


def test_rows_of_one_transaction_get_ordinals_and_repeats_share_the_key(tmp_path: Path) -> None:
    tx = "0x" + "a" * 64
    lines = [f"cats,{token},2025-03-01 10:00:00,1,{tx}" for token in (5, 6, 5)]
    alone = ["cats,7,2025-03-01 11:00:00,2,"] * 2
    source = files(
        tmp_path, sales__csv="\n".join(["collection,token_id,timestamp,price,tx_hash", *lines, *alone])
    )
    rows, _ = read_all(source, "sales")
    keys = [(r["tx_hash"], r["log_index"]) for r in rows.to_pylist()]
    assert keys == [(tx, 0), (tx, 1), (tx, 0), ("row:sales.csv:5", 0), ("row:sales.csv:5", 0)]


def test_integer_tokens_and_zoned_times_in_parquet(tmp_path: Path) -> None:
    table = pa.table(
        {
            "collection": pa.array(["cats", "cats"]).dictionary_encode(),
            "token_id": pa.array([1.0, None]),
            "timestamp": pa.array([datetime(2025, 3, 1), datetime(2025, 3, 2)], pa.timestamp("ns", "UTC")),  # noqa: DTZ001
            "price": pa.array([1, 2]),
        }
    )
    source = files(tmp_path, sales__parquet=table)
    rows, rejected = read_all(source, "sales")
    assert rows.column("token_id").to_pylist() == ["1"]
    # Every time of the file is a midnight: only the day is known.
    assert rows.column("event_time").to_pylist() == [datetime(2025, 3, 1, 12)]  # noqa: DTZ001
    assert rejected.column("source_row").to_pylist() == ["sales.parquet:1"]


def test_wax_sales_are_of_their_own_chain_and_their_name_is_a_trait(tmp_path: Path) -> None:
    source = files(
        tmp_path,
        sales_wax__csv="collection,asset_id,name,date,price_usd\ncats,11,Tom,2021-10-31,6.3\ncats,11,Tom,2021-11-30,7\n",
    )
    sale = read_all(source, "sales")[0].to_pylist()[0]
    assert (sale["chain"], sale["collection"], sale["currency"]) == ("wax", "wax-cats", "USD")
    assert sale["event_time"] == datetime(2021, 10, 31, 12)  # noqa: DTZ001
    (trait,) = read_all(source, "token_traits")[0].to_pylist()
    assert (trait["token_id"], trait["trait_type"], trait["trait_value"]) == ("11", "name", "Tom")
    assert trait["known_at"] == sale["known_at"]


def test_undated_traits_are_known_from_the_collection_s_first_event(tmp_path: Path) -> None:
    source = files(
        tmp_path,
        sales__csv=FOUR_COLUMNS,
        traits__csv="collection,token_id,trait_type,trait_value\ncats,1,Hat,Blue\ncats,2,Hat,\n",
    )
    traits, _ = read_all(source, "token_traits")
    assert set(traits.column("known_at").to_pylist()) == {datetime(2025, 3, 1, 10)}  # noqa: DTZ001
    assert traits.column("trait_value").to_pylist() == ["Blue", None]


def test_rates_are_known_when_their_day_or_hour_is_over(tmp_path: Path) -> None:
    source = files(
        tmp_path,
        sales__csv=FOUR_COLUMNS,
        rates__csv="date,symbol,usd\n2025-02-01,ETH,3000\n",
        rates_hourly__csv="ts,symbol,usd\n2025-02-01 06:00:00,ETH,3001\n",
    )
    rates = read_all(source, "exchange_rates")[0].to_pylist()
    assert [(r["granularity"], r["known_at"]) for r in rates] == [
        ("hour", datetime(2025, 2, 1, 7)),  # noqa: DTZ001
        ("day", datetime(2025, 2, 2)),  # noqa: DTZ001
    ]


def test_a_broken_file_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    source = files(
        tmp_path,
        sales__csv=FOUR_COLUMNS,
        sales_old__parquet=b"PAR1 cut short",
        traits__csv="collection,token_id\ncats,1\n",
        notes__csv="anything\n1\n",
    )
    rows, rejected = read_all(source, "sales")
    assert rows.num_rows == 3
    (refused,) = rejected.to_pylist()
    assert (refused["reason"], refused["source_row"]) == ("unreadable_file", "sales_old.parquet")
    (refused,) = read_all(source, "token_traits")[1].to_pylist()
    assert refused["reason"] == "missing_column"
    assert "trait_type" in refused["found"]
    ignored = next(r for r in source.inventory() if r.file == "notes.csv")
    assert ignored.table is None
    assert "no raw table" in ignored.note


def test_a_directory_that_cannot_serve_is_refused_with_what_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(EmptyDirectoryError, match="found no directory"):
        FilesSource(tmp_path / "nowhere")
    with pytest.raises(EmptyDirectoryError, match=r"sales\.csv"):
        FilesSource(tmp_path)
    source = files(tmp_path, traits__csv="collection,token_id,trait_type\n")
    with pytest.raises(MissingSalesError, match=r"traits\.csv"):
        source.first_known()


@pytest.mark.parametrize("body", [b"PAR1\x00\x01", b""])
def test_unreadable_sales_stop_with_the_file_named(tmp_path: Path, body: bytes) -> None:
    source = files(tmp_path, sales__parquet=body)
    with pytest.raises(
        NothingReadError, match=r"sales\.parquet: expected a complete Parquet file"
    ) as refused:
        source.watermark()
    assert str(refused.value).count("expected a complete Parquet file") == 1


def test_sales_without_a_price_column_name_the_spellings(tmp_path: Path) -> None:
    source = files(tmp_path, sales__csv="collection,token_id,timestamp,cost\na,1,2025-01-01,1\n")
    with pytest.raises(NothingReadError, match=r"price_native, .*price, .*found columns collection"):
        source.watermark()


def test_sales_with_a_header_only_are_an_empty_market(tmp_path: Path) -> None:
    source = files(tmp_path, sales__csv="collection,token_id,timestamp,price\n")
    assert source.everything()["sales"].rows.num_rows == 0
    assert source.inventory()[0].rows == 0
    with pytest.raises(NothingReadError):
        source.watermark()


def test_unix_times_in_a_csv_are_read(tmp_path: Path) -> None:
    source = files(tmp_path, sales__csv="collection,token_id,timestamp,price\na,1,1740823200,1\n")
    assert read_all(source, "sales")[0].column("event_time").to_pylist() == [datetime(2025, 3, 1, 10)]  # noqa: DTZ001


def test_a_row_known_in_the_far_future_does_not_move_the_watermark(tmp_path: Path) -> None:
    source = files(
        tmp_path,
        sales__csv="collection,token_id,timestamp,known_at,price\n"
        "a,1,2025-03-01,2025-03-02,1\na,2,2025-03-01,9999-01-01,1\na,3,2025-03-01,infinity,1\n",
    )
    assert source.watermark() < NOW
    rows, rejected = read_all(source, "sales")
    assert rows.num_rows == 1
    assert set(rejected.column("reason").to_pylist()) == {"future_timestamp", "unparsable_timestamp"}


def test_numbers_too_large_for_a_time_cost_their_row_only(tmp_path: Path) -> None:
    source = files(
        tmp_path,
        sales__csv="collection,token_id,timestamp,time_uncertainty_s,price\n"
        "a,1,2025-03-01,1e30,1\na,2,1e30,0,1\na,3,2025-03-01,0,1\n",
    )
    rows, rejected = read_all(source, "sales")
    assert rows.column("token_id").to_pylist() == ["3"]
    assert rejected.num_rows == 2


def test_what_assay_wrote_can_be_read_back(tmp_path: Path, small_market: SimulatorSource) -> None:
    sales, _ = read_all(small_market, "sales")
    source = files(tmp_path, sales__parquet=sales)
    again, rejected = read_all(source, "sales")
    assert rejected.num_rows == 0
    assert again.drop_columns(["source_row"]).equals(sales.drop_columns(["source_row"]))


def test_columns_with_any_name_are_kept_for_the_payload(tmp_path: Path) -> None:
    names = ["collection", "token_id", "timestamp", "price", "broken", "ordinal", "finalized", "a b", "it's"]
    source = files(
        tmp_path, sales__csv=",".join(names) + "\na,1,2025-01-01,-1,x,y,z,q,r\na,2,2025-01-01,1,x,y,z,q,r\n"
    )
    rows, rejected = read_all(source, "sales")
    assert rows.num_rows == 1
    payload = json.loads(rejected.column("payload")[0].as_py())
    assert {payload[n] for n in ("broken", "ordinal", "a b", "it's")} == {"x", "y", "q", "r"}


def test_a_column_that_occurs_twice_is_refused_by_name(tmp_path: Path) -> None:
    source = files(tmp_path, sales__csv="collection,token_id,timestamp,price,Price\na,1,2025-01-01,1,2\n")
    with pytest.raises(NothingReadError, match="price more than once"):
        source.watermark()


def test_an_empty_file_and_one_of_a_header_are_named_once_and_stop_nothing(tmp_path):
    (tmp_path / "sales.csv").write_text(
        "collection,token_id,timestamp,price\napes,1,2024-01-01T10:00:00,1.5\n"
    )
    (tmp_path / "sales_empty.csv").touch()
    (tmp_path / "sales_header.csv").write_text("collection,token_id,timestamp,price\n")
    lines = FilesSource(tmp_path).left_out()
    assert [line for line in lines if line.startswith("sales_header.csv")] == ["sales_header.csv: no rows"]
    (empty,) = [line for line in lines if line.startswith("sales_empty.csv")]
    assert empty.count("sales_empty.csv") == 1
