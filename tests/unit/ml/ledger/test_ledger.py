"""A sale has the estimate that was made before it, in a backtest and in production."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pandas as pd
import pytest

from ml.ledger.estimate_ledger import CURRENT_DAYS, TABLE, update_estimate_ledger, with_outdated
from ml.ledger.ledger import LEDGER_SCHEMA, ledger_rows
from ml.states import Origin
from tests.unit.ml.features.market import make_sales, write_marts

NOW = datetime(2024, 6, 1)  # noqa: DTZ001
ESTIMATES = (
    "collection varchar, token_id varchar, as_of timestamp, estimate_eth double, lower_eth double, upper_eth double,"
    " lower_90_eth double, upper_90_eth double, expected_eth double, index_eth double, prior_eth double, tier varchar,"
    " no_value_reason varchar, model_version varchar, prior_version varchar, snapshot_id bigint"
)


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    sales = make_sales()
    sales["is_wash"] = [number % 9 == 4 for number in range(len(sales))]
    write_marts(con, sales)
    con.execute(f"create table estimates ({ESTIMATES})")
    return con


def record_estimate(
    con: duckdb.DuckDBPyConnection, sale: str, shift: str, estimate: float, version: str
) -> None:
    """An estimate of a sale's token, made at the sale's as-of time moved by an interval."""
    con.execute(
        f"insert into estimates select collection, token_id, as_of + interval '{shift}', {estimate}, {estimate} / 1.1,"
        f" {estimate} * 1.1, {estimate} / 1.2, {estimate} * 1.2, {estimate}, null, null, 'pooled', null, '{version}',"
        " 'p', 0 from marts.fct_sales where sale_id = ?",
        [sale],
    )


def rows(con: duckdb.DuckDBPyConnection, where: str = "true") -> pd.DataFrame:
    ledger_rows(con, where, "estimates", "ledger")
    assert con.execute("select * from ledger").to_arrow_table().schema == LEDGER_SCHEMA
    return con.execute("select * from ledger").df().set_index("sale_id", drop=False)


def test_the_latest_estimate_not_after_the_sale_counts(con: duckdb.DuckDBPyConnection) -> None:
    record_estimate(con, "s30", "-20 days", 9.0, "old")
    record_estimate(con, "s30", "0 seconds", 2.0, "at the time")
    record_estimate(con, "s30", "1 microsecond", 5.0, "too late")
    row = rows(con, "sale_id = 's30'").loc["s30"]
    assert (row.estimate_eth, row.model_version, row.tier, row.grade) == (
        2.0,
        "at the time",
        "pooled",
        "A",
    )


def test_a_sale_without_an_estimate_stays_with_the_reason(con: duckdb.DuckDBPyConnection) -> None:
    found = rows(con)
    assert len(found) == con.execute("select count(*) from marts.fct_sales").fetchone()[0]
    assert found.estimate_eth.isna().all()
    assert set(found.tier) == {"none"}
    assert set(found[found.sales_seen < 3].no_value_reason) == {"fewer_than_3_sales"}
    assert set(found[found.sales_seen >= 3].no_value_reason) == {"not_estimated_before"}
    assert found.is_wash.any()


def test_listed_is_a_live_ask_known_before_the_sale(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("delete from marts.fct_listings")

    def order(sale: str, name: str, kind: str, shift: str, valid: str | None = None) -> None:
        until = f"as_of + interval '{valid}'" if valid else "null"
        con.execute(
            f"insert into marts.fct_listings by name select collection, token_id, '{name}' as order_id, '{kind}' as"
            f" event_kind, 'ask' as side, 1.0 as price_eth, as_of + interval '{shift}' as known_at, {until} as"
            " valid_until from marts.fct_sales where sale_id = ?",
            [sale],
        )

    wanted = ["s20", "s21", "s23", "s24", "s26", "s28"]
    live, cancelled, filled_later, expired, same_time, _never = wanted
    order(live, "o1", "created", "-1 day")
    order(cancelled, "o2", "created", "-2 days")
    order(cancelled, "o2", "cancelled", "-1 day")
    order(filled_later, "o3", "created", "-1 day")
    order(filled_later, "o3", "filled", "1 second")
    order(expired, "o4", "created", "-3 days", valid="-1 day")
    order(same_time, "o5", "created", "0 seconds")
    con.execute("update marts.fct_sales set token_id = sale_id where sale_id in (select unnest(?))", [wanted])
    con.execute(
        "update marts.fct_listings set token_id = case order_id when 'o1' then 's20' when 'o2' then 's21'"
        " when 'o3' then 's23' when 'o4' then 's24' else 's26' end"
    )
    found = rows(con)
    assert sorted(found[found.listed].sale_id) == sorted([live, filled_later])


def scored(con: duckdb.DuckDBPyConnection, at: str) -> None:
    con.execute(
        f"insert into predictions.estimate_history by name select collection, token_id, 1.0 as estimate_eth, 0.5 as"
        f" lower_80_eth, 2.0 as upper_80_eth, 0.4 as lower_90_eth, 3.0 as upper_90_eth, 1.1 as expected_eth,"
        f" 'pooled' as tier, collection || '@1' as model_version, timestamp '{at}' as as_of, 7 as snapshot_id"
        " from marts.dim_tokens where collection in ('c0', 'c1')"
    )


@pytest.fixture
def home(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    con.execute(
        "insert into predictions.prior_walk_forward by name select sale_id, collection, seq, known_at, 1 as fold,"
        " 'p1' as prior_version, 0.0 as base_log, 0.1 as prediction_log, 0.3 as half_80, 0.4 as half_90"
        " from marts.fct_sales where seq > 3"
    )
    scored(con, "2024-02-15")
    return con


def content(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return con.execute(f"select * from {TABLE} order by sale_id").df()


def test_every_sale_is_entered_once_whatever_priced_it(home: duckdb.DuckDBPyConnection) -> None:
    first = update_estimate_ledger(home, NOW)
    found = content(home)
    sales = home.execute("select * from marts.fct_sales order by sale_id").df()
    assert list(found.sale_id) == list(sales.sale_id)
    assert first.live + first.walk_forward == first.rows == len(sales)
    after = (sales.as_of >= pd.Timestamp("2024-02-15")) & sales.collection.isin(["c0", "c1"])
    assert list(found.origin == Origin.LIVE) == list(after)
    assert set(found[found.origin == Origin.LIVE].model_version) == {"c0@1", "c1@1"}
    walked = found[(found.origin == Origin.WALK_FORWARD) & found.is_arms_length & (found.sales_seen >= 3)]
    assert set(walked.tier) == {"pooled"}
    again = update_estimate_ledger(home, NOW)
    assert (again.live, again.walk_forward, again.removed) == (0, 0, 0)
    pd.testing.assert_frame_equal(content(home), found)


def test_a_ledger_filled_day_by_day_is_the_one_filled_at_once(home: duckdb.DuckDBPyConnection) -> None:
    update_estimate_ledger(home, NOW)
    at_once = content(home)
    own = home.execute("select sale_id from predictions.prior_walk_forward").df().sale_id
    borrowed = at_once[
        (at_once.origin == Origin.WALK_FORWARD) & ~at_once.sale_id.isin(own) & at_once.estimate_eth.notna()
    ]
    assert len(borrowed), "a sale without a prediction of its own, of a token that had one before"
    home.execute(f"delete from {TABLE}")
    for day in pd.date_range("2024-01-01", NOW):
        update_estimate_ledger(home, day.to_pydatetime())
    pd.testing.assert_frame_equal(content(home), at_once)


def test_a_late_sale_is_entered_and_a_corrected_one_entered_again(home: duckdb.DuckDBPyConnection) -> None:
    before = datetime(2024, 3, 1)  # noqa: DTZ001
    update_estimate_ledger(home, before)
    early = content(home)
    assert (early.known_at < before).all()
    late = early.sale_id.iloc[0]
    home.execute(f"delete from {TABLE} where sale_id = ?", [late])
    home.execute("update marts.fct_sales set price_eth = 77 where sale_id = ?", [early.sale_id.iloc[1]])
    update = update_estimate_ledger(home, NOW)
    found = content(home)
    assert update.removed == 1
    assert set(early.sale_id) <= set(found.sale_id)
    assert found.sale_id.is_unique
    assert found.set_index("sale_id").price_eth[early.sale_id.iloc[1]] == 77


def test_a_later_scoring_does_not_rewrite_earlier_estimates(home: duckdb.DuckDBPyConnection) -> None:
    update_estimate_ledger(home, NOW)
    found = content(home)
    home.execute("update predictions.prior_walk_forward set prediction_log = 9")
    scored(home, "2024-01-05")
    update_estimate_ledger(home, NOW)
    pd.testing.assert_frame_equal(content(home), found)


def test_after_a_loss_of_value_the_last_published_estimate_counts_and_shows_its_age(
    home: duckdb.DuckDBPyConnection,
) -> None:
    """`scored` publishes once, in February; nothing is published after it, as when a collection is set aside."""
    update_estimate_ledger(home, NOW)
    found = content(home)
    later = found[(found.origin == Origin.LIVE) & (found.collection == "c0")]
    assert len(later) > 10
    assert later.estimate_eth.notna().all(), "the absence of a value is not in the history"
    assert set(later.no_value_reason.isna()) == {True}
    assert set(later.as_of) == {pd.Timestamp("2024-02-15")}
    dated = home.execute(
        f"select * from ({with_outdated(TABLE)}) where collection = 'c0' and origin = 'live'"
    ).df()
    clean = found[(found.collection == "c0") & found.is_arms_length]
    first_unknown = clean[clean.known_at >= pd.Timestamp("2024-02-15")].known_at.min()
    age = (dated.known_at - first_unknown) / pd.Timedelta(days=1)
    assert list(dated.outdated_days.round(6)) == list(age.round(6))
    assert (dated.outdated_days > CURRENT_DAYS).any()


def test_a_backtest_gives_such_a_sale_no_value_and_the_reason(con: duckdb.DuckDBPyConnection) -> None:
    record_estimate(con, "s30", "-20 days", 9.0, "old")
    con.execute(
        "insert into estimates by name select collection, token_id, as_of, 'none' as tier,"
        " 'silent_over_90_days' as no_value_reason, 0 as snapshot_id from marts.fct_sales where sale_id = 's30'"
    )
    row = rows(con, "sale_id = 's30'").loc["s30"]
    assert (row.tier, row.no_value_reason) == ("none", "silent_over_90_days")
    assert pd.isna(row.estimate_eth)


def test_a_walk_forward_estimate_that_no_token_can_be_worth_is_no_value(
    home: duckdb.DuckDBPyConnection,
) -> None:
    beyond, wide = home.execute(
        "select sale_id from predictions.prior_walk_forward order by collection desc, seq limit 2"
    ).fetchall()
    home.execute("update predictions.prior_walk_forward set prediction_log = 30 where sale_id = ?", [*beyond])
    home.execute("update predictions.prior_walk_forward set half_90 = 25 where sale_id = ?", [*wide])
    home.execute("delete from predictions.estimate_history")
    update_estimate_ledger(home, NOW)
    found = content(home).set_index("sale_id")
    bad = found.loc[[*beyond, *wide]]
    assert set(bad.no_value_reason) == {"implausible_value"}
    assert set(bad.tier) == {"none"}
    assert (
        bad[["estimate_eth", "lower_eth", "upper_eth", "lower_90_eth", "upper_90_eth"]].isna().all(axis=None)
    )
    assert found.upper_90_eth.max() < 1e9
    assert (found.estimate_eth.notna() & found.is_arms_length).sum() > 50
