"""The simulated market: repeatable, readable by day, honest about its hidden truth."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sources.contract import RAW_TABLES
from sources.simulator.checkpoints import load_checkpoint
from sources.simulator.config import SimulatorConfig, SimulatorConfigError
from sources.simulator.rows import ZERO_ADDRESS
from sources.simulator.source import SimulatorSource, open_simulator
from sources.validation import validate
from tests.unit.sources.conftest import SMALL, ask, read_all, read_by_day


@pytest.mark.parametrize("table", RAW_TABLES)
def test_every_row_passes_validation_unchanged(small_market: SimulatorSource, table: str) -> None:
    rows, rejected = read_all(small_market, table)
    end = small_market.watermark()
    judged = validate(table, rows, now=end, undated_known_at=end, always=RAW_TABLES[table].names)
    assert rejected.num_rows == 0
    assert judged.rejected.num_rows == 0, judged.rejected.slice(0, 3).to_pylist()
    assert judged.rows.equals(rows)
    assert (rows.num_rows > 0) == (table != "blocks")  # a simulated market has no chain


@pytest.mark.parametrize("table", RAW_TABLES)
def test_the_same_config_gives_the_same_rows_in_any_window(small_market: SimulatorSource, table: str) -> None:
    whole, _ = read_all(small_market, table)
    again = open_simulator(**SMALL)
    daily, _ = read_by_day(again, table, again.first_known(), again.watermark())
    assert daily.equals(whole)


def test_rows_come_in_known_order_and_inside_the_window(small_market: SimulatorSource) -> None:
    start = small_market.first_known() + timedelta(days=7, hours=5)
    end = start + timedelta(days=3, hours=7)
    for table in RAW_TABLES:
        known = read_all(small_market, table, start, end)[0].column("known_at").to_numpy()
        assert (np.diff(known) >= np.timedelta64(0)).all()
        assert ((known >= np.datetime64(start)) & (known < np.datetime64(end))).all()


def test_reading_an_earlier_window_again_gives_the_same_rows(small_market: SimulatorSource) -> None:
    source = open_simulator(**SMALL)
    first = source.first_known()
    late = read_all(source, "sales", first + timedelta(days=35), first + timedelta(days=36))[0]
    early = read_all(source, "sales", first + timedelta(days=3), first + timedelta(days=4))[0]
    assert early.equals(
        read_all(small_market, "sales", first + timedelta(days=3), first + timedelta(days=4))[0]
    )
    assert late.equals(
        read_all(small_market, "sales", first + timedelta(days=35), first + timedelta(days=36))[0]
    )


def test_one_more_day_from_a_checkpoint_equals_a_longer_run(tmp_path, small_market: SimulatorSource) -> None:
    shorter = open_simulator(**SMALL | {"days": 33}, cache_dir=tmp_path)
    for table in RAW_TABLES:
        rows, _ = read_all(shorter, table)
        assert rows.equals(read_all(small_market, table, end=shorter.watermark())[0])
    assert list(tmp_path.iterdir())
    # A later fault must not cost the past its checkpoints, nor change the days before it.
    longer = open_simulator(**SMALL | {"faults": "crash@39"}, cache_dir=tmp_path)
    end = shorter.watermark() + timedelta(days=1)
    for table in RAW_TABLES:
        rows, _ = read_all(longer, table, shorter.watermark(), end)
        assert rows.equals(read_all(small_market, table, shorter.watermark(), end)[0])
    assert longer.timeline._progress is not None
    assert min(longer.timeline._made) == 33, "the past was simulated again"


def test_another_seed_is_another_market(small_market: SimulatorSource) -> None:
    other = open_simulator(**SMALL | {"seed": 4})
    assert not read_all(other, "sales")[0].equals(read_all(small_market, "sales")[0])


def test_the_seller_of_every_sale_owned_the_token(small_market: SimulatorSource) -> None:
    sales, _ = read_all(small_market, "sales")
    transfers, _ = read_all(small_market, "transfers")
    broken = ask(
        """
        with moves as (
            select *, lag(to_address) over (
                partition by collection, token_id order by event_time, block_number, log_index
            ) as owner
            from transfers
        )
        select count(*) filter (where owner is distinct from from_address
            and from_address <> $zero) / count(*)::double,
            count(*) filter (where owner is null and from_address <> $zero)
        from moves
        """.replace("$zero", f"'{ZERO_ADDRESS}'"),
        transfers=transfers,
    )
    # Two trades of one token in the same second have no order in the rows: a handful at most.
    assert broken[0] < 1e-3
    assert broken[1] == 0
    unmatched = ask(
        """
        select count(*) from sales as s anti join transfers as t
            on t.tx_hash = s.tx_hash and t.token_id = s.token_id
            and t.from_address = s.seller and t.to_address = s.buyer
        """,
        sales=sales,
        transfers=transfers,
    )
    assert unmatched == (0,)


def test_prices_scatter_around_the_hidden_truth(small_market: SimulatorSource) -> None:
    """The report scores estimates against truth: truth must be what arm's-length prices centre on."""
    sales, _ = read_all(small_market, "sales")
    levels = pa.concat_tables(small_market.truth("collection_levels"))
    effects = pa.concat_tables(small_market.truth("token_effects"))
    median, spread, rows = ask(
        """
        with errors as (
            select ln(s.price_native) - l.log_level - e.log_effect as r
            from sales as s
            join levels as l on l.collection = s.collection and l.day = s.event_time::date
            join effects as e on e.collection = s.collection and e.token_id = s.token_id
            where s.price_native > 0 and s.n_in_tx = 1 and s.currency = 'ETH' and s.sale_type = 'secondary'
        )
        select median(r), quantile_cont(abs(r), 0.5), count(*) from errors
        """,
        sales=sales,
        levels=levels,
        effects=effects,
    )
    assert rows > 500
    assert abs(median) < 0.03
    assert 0.02 < spread < 0.25


def test_each_transaction_has_one_gas_that_the_side_which_sent_it_paid(small_market: SimulatorSource) -> None:
    sales, _ = read_all(small_market, "sales")
    paid, odd, cheapest, dearest, with_buyer_fee = ask(
        """
        with stated as (
            select *, gas_used * gas_price_wei / 1e18 as gas_eth,
                case when side = 'bid_accepted' then seller else buyer end as sender
            from sales where source = 'simulator'
        )
        select count(*) filter (where gas_payer = sender) / count(*)::double,
            (select count(*) from (
                select tx_hash from stated group by tx_hash having count(distinct gas_used * gas_price_wei) > 1
            )),
            min(gas_eth), max(gas_eth), count(*) filter (where buyer_fee_native > 0)
        from stated
        """,
        sales=sales,
    )
    assert (paid, odd) == (1.0, 0)
    assert 0 < cheapest < dearest < 0.05
    assert with_buyer_fee > 0


def test_truth_reaches_the_watermark(small_market: SimulatorSource) -> None:
    levels = pa.concat_tables(small_market.truth("collection_levels"))
    assert max(levels.column("day").to_pylist()) == small_market.watermark().date()
    known = set(read_all(small_market, "collections")[0].column("collection").to_pylist())
    effects = pa.concat_tables(small_market.truth("token_effects"))
    assert set(effects.column("collection").to_pylist()) == known
    assert set(levels.column("collection").to_pylist()) == known


def test_an_order_is_made_before_it_ends(small_market: SimulatorSource) -> None:
    listings, _ = read_all(small_market, "listings")
    bad, ended = ask(
        """
        with life as (
            select order_id, min(event_time) filter (where event_kind = 'created') as made,
                max(event_time) filter (where event_kind <> 'created') as ended,
                count(*) filter (where event_kind <> 'created') as ends
            from listings group by order_id
        )
        select count(*) filter (where made > ended or ends > 1), count(ended) from life
        """,
        listings=listings,
    )
    assert bad == 0
    assert ended > 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"collections": 0}, "collections: expected a whole number 1 to"),
        ({"size": 3}, "found size"),
        ({"faults": "flood@3"}, "expected a fault"),
        ({"faults": "crash"}, "name@day"),
        ({"faults": "crash@-2"}, "day >= 0"),
        ({"start": "yesterday"}, "YYYY-MM-DD"),
    ],
)
def test_the_error_for_an_impossible_setting_names_the_possible_values(options: dict, message: str) -> None:
    with pytest.raises(SimulatorConfigError, match=message):
        open_simulator(**options)


def test_a_damaged_checkpoint_is_passed_over_and_the_market_is_the_same(tmp_path: Path) -> None:
    config = SimulatorConfig(collections=2, days=40)
    whole = SimulatorSource(config, cache_dir=tmp_path)
    expected, _ = read_all(whole, "sales")
    files = sorted(tmp_path.rglob("*.zip"))
    content = files[-1].read_bytes()
    for damaged in (
        content[: len(content) // 2],
        b"",
        content[:999] + bytes([content[999] ^ 1]) + content[1000:],
    ):
        for file in files:
            file.write_bytes(damaged)
        assert load_checkpoint(files[0].parent, config, before=40, after=0) is None
    again, _ = read_all(SimulatorSource(config, cache_dir=tmp_path), "sales")
    assert again.equals(expected)
