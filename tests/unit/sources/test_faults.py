"""Each fault changes what the source yields in the way its description says."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from sources.replay import replay
from sources.simulator.config import FAULTS
from sources.simulator.source import SimulatorSource, open_simulator
from tests.unit.sources.conftest import SMALL, ask, read_all

DAY = 20


def faulty(*faults: str) -> SimulatorSource:
    return open_simulator(**SMALL | {"faults": list(faults)})


def days_of(rows: pa.Table, column: str, source: SimulatorSource) -> np.ndarray:
    first = np.datetime64(source.first_known(), "D")
    return (rows.column(column).to_numpy().astype("datetime64[D]") - first).astype(int)


@pytest.mark.parametrize("name", FAULTS)
def test_days_before_a_fault_are_untouched(small_market: SimulatorSource, name: str) -> None:
    source = faulty(f"{name}@{DAY}")
    end = source.first_known() + timedelta(days=DAY)
    for table in ("sales", "transfers", "listings"):
        assert read_all(source, table, end=end)[0].equals(read_all(small_market, table, end=end)[0])
    changed = any(
        not read_all(source, table)[0].equals(read_all(small_market, table)[0])
        for table in ("sales", "transfers", "listings")
    )
    assert changed


def test_late_data_arrives_days_later(small_market: SimulatorSource) -> None:
    source = faulty(f"late_data@{DAY}:2")
    sales, _ = read_all(source, "sales")
    of_day = days_of(sales, "event_time", source) == DAY
    late = days_of(sales, "known_at", source)[of_day] >= DAY + 2
    assert 0.4 < late.mean() < 0.8
    assert sales.num_rows == read_all(small_market, "sales")[0].num_rows


def test_duplicates_share_the_key() -> None:
    source = faulty(f"duplicates@{DAY}:0.5")
    sales, _ = read_all(source, "sales")
    sales = sales.filter(pa.array(days_of(sales, "event_time", source) == DAY))
    rows, keys = ask(
        "select count(*), count(distinct (chain, tx_hash, log_index, sub_index)) from sales", sales=sales
    )
    assert 1.3 < rows / keys < 1.7
    assert len(set(sales.column("source_row").to_pylist())) == rows


def test_schema_break_goes_to_quarantine_and_can_be_replayed(small_market: SimulatorSource) -> None:
    source = faulty(f"schema_break@{DAY}")
    start = source.first_known() + timedelta(days=DAY)
    rows, rejected = read_all(source, "sales", start, start + timedelta(days=1))
    whole, _ = read_all(small_market, "sales", start, start + timedelta(days=1))
    assert rows.num_rows == 0
    assert rejected.num_rows == whole.num_rows
    assert set(rejected.column("reason").to_pylist()) == {"missing_column"}
    assert set(rejected.column("column_name").to_pylist()) == {"price_native"}
    as_it_is = replay(rejected, now=source.watermark())["sales"]
    assert as_it_is.rows.num_rows == 0, "a price that came under another name is not a missing price"
    again = replay(rejected, now=source.watermark(), renames={"amount": "price_native"})["sales"]
    assert again.rejected.num_rows == 0
    assert again.rows.equals(whole)


def test_nothing_arrives_during_an_outage_and_nothing_is_lost(small_market: SimulatorSource) -> None:
    source = faulty(f"outage@{DAY}:3")
    for table in ("sales", "transfers", "listings", "exchange_rates"):
        rows, _ = read_all(source, table)
        known, happened = (days_of(rows, c, source) for c in ("known_at", "event_time"))
        assert not ((known >= DAY) & (known < DAY + 3)).any()
        assert ((happened >= DAY) & (happened < DAY + 3) & (known == DAY + 3)).any()
        assert rows.num_rows == read_all(small_market, table)[0].num_rows


def test_a_crash_lowers_every_level(small_market: SimulatorSource) -> None:
    sharp, calm = (
        pa.concat_tables(s.truth("collection_levels")) for s in (faulty(f"crash@{DAY}:0.7"), small_market)
    )
    fall = sharp.column("log_level").to_numpy() - calm.column("log_level").to_numpy()
    day = (sharp.column("day").to_numpy() - np.datetime64(small_market.first_known(), "D")).astype(int)
    launched_before = day > DAY
    assert np.allclose(fall[day <= DAY], 0)
    # Collections launched later start at their own level.
    assert np.median(fall[launched_before]) == pytest.approx(-0.7)


def test_a_mania_makes_some_tokens_dearer(small_market: SimulatorSource) -> None:
    wild, calm = (
        pa.concat_tables(s.truth("token_effects")).column("log_effect").to_numpy()
        for s in (faulty(f"trait_mania@{DAY}:0.8"), small_market)
    )
    dearer = np.isclose(wild - calm, 0.8, atol=1e-5)
    assert 0.001 < dearer.mean() < 0.3
    assert np.allclose(wild[~dearer], calm[~dearer])


def test_a_wash_storm_brings_round_trips(small_market: SimulatorSource) -> None:
    query = """
        select count(*) from sales as a join sales as b
        on a.collection = b.collection and a.token_id = b.token_id
            and a.buyer = b.seller and a.seller = b.buyer
        where a.event_time <= b.event_time and a.source_row <> b.source_row
    """
    days = range(DAY, DAY + 10)

    def round_trips(source: SimulatorSource) -> int:
        sales = read_all(source, "sales")[0]
        sales = sales.filter(pa.array(np.isin(days_of(sales, "event_time", source), days)))
        return ask(query, sales=sales)[0]

    # Which tenth of the collections is struck depends on the day: within ten days it is everyone's turn.
    stormy = faulty(*(f"wash_storm@{day}" for day in days))
    assert round_trips(stormy) > round_trips(small_market) + 30


def test_wrong_currency_stops_wei_at_the_door_and_lets_a_wrong_label_through(
    small_market: SimulatorSource,
) -> None:
    source = faulty(f"wrong_currency@{DAY}:0.5")
    rows, rejected = read_all(source, "sales")
    calm, _ = read_all(small_market, "sales")
    assert rows.num_rows + rejected.num_rows == calm.num_rows
    assert set(rejected.column("reason").to_pylist()) == {"impossible_price"}
    of_day = int((days_of(calm, "event_time", source) == DAY).sum())
    assert rejected.num_rows > 0.1 * of_day
    relabelled, elsewhere = ask(
        f"""
        select count(*), count(*) filter (
            where r.event_time::date <> date '{source.first_known():%Y-%m-%d}' + {DAY}
        )
        from rows as r join calm as c on c.source_row = r.source_row and c.currency <> r.currency
        where c.currency = 'ETH' and r.currency = 'USDC' and r.price_native = c.price_native
        """,
        rows=rows,
        calm=calm,
    )
    assert relabelled > 0.1 * of_day
    assert elsewhere == 0


def test_a_reorg_supersedes_the_last_rows_and_brings_most_back(small_market: SimulatorSource) -> None:
    source = faulty(f"reorg@{DAY}:0.3")
    sales, _ = read_all(source, "sales")
    lost, back = ask(
        """
        select count(*), count(b.tx_hash) from sales as a left join sales as b
            on b.tx_hash = a.tx_hash and b.log_index = a.log_index and b.block_hash = a.superseded_by
            and b.superseded_by is null and b.known_at > a.known_at
        where a.superseded_by is not null
        """,
        sales=sales,
    )
    assert lost >= 3
    assert 0.4 * lost <= back <= lost
    assert read_all(small_market, "sales")[0].column("superseded_by").null_count == len(
        read_all(small_market, "sales")[0]
    )
