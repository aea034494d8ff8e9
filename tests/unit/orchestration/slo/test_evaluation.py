"""Indicators on small hand-made tables."""

from datetime import datetime, timedelta

import duckdb
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from lake.tables import create_missing
from ml.tables.registry import TABLES
from orchestration.slo.definitions import Slo, SloDefinitionError, load_slos
from orchestration.slo.evaluation import evaluate
from orchestration.slo.tables import read_samples, store
from orchestration.slo.watch import slo_alerts, watch_slos

NOW = datetime(2026, 3, 1)  # noqa: DTZ001 - the lake keeps naive UTC
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SLOS = {slo.name: slo for slo in load_slos()}


@pytest.fixture
def con():
    """A database with every table of the lake, empty."""
    con = duckdb.connect(config={"threads": 1})
    create_missing(con, TABLES)
    yield con
    con.close()


def sell(con, source: str, start: datetime, end: datetime, every: timedelta, late: timedelta = 0 * HOUR):
    con.execute(
        "insert into raw.sales by name select 'files' as delivered_by, $source as source,"
        " t.at + $late as known_at, t.at as event_time,"
        " 0.0 as time_uncertainty_s from (select unnest(generate_series($start, $end, $every)) as at) t",
        {"source": source, "start": start, "end": end, "every": every, "late": late},
    )


def status(con, name: str, as_of: datetime = NOW):
    """One pass over one SLO, kept."""
    found = evaluate(con, [SLOS[name]], as_of, read_samples(con, as_of))
    store(con, found, as_of)
    return found[0]


def test_a_source_that_delivers_as_usual_is_good(con):
    sell(con, "a", NOW - 20 * DAY, NOW - HOUR, HOUR)
    found = status(con, "sales_arrive")
    assert (found.sample.good, found.sample.valid, found.state) == (1, 1, "ok")


def test_a_source_that_stops_pages_at_the_next_evaluation_and_recovers(con):
    sell(con, "a", NOW - 20 * DAY, NOW - DAY, HOUR)
    sell(con, "b", NOW - 20 * DAY, NOW - HOUR, HOUR)
    found = status(con, "sales_arrive")
    assert (found.sample.good, found.sample.valid, found.state) == (1, 2, "page")
    sell(con, "a", NOW, NOW + HOUR, HOUR)
    assert status(con, "sales_arrive", NOW + 2 * HOUR).sample.good == 2


def test_a_slow_source_is_judged_by_its_own_pace(con):
    sell(con, "daily", NOW - 29 * DAY, NOW - 2 * DAY, DAY)
    assert status(con, "sales_arrive").state == "ok"


def test_a_source_that_has_ended_does_not_page_for_ever(con):
    sell(con, "archive", NOW - 90 * DAY, NOW - 30 * DAY, HOUR)
    found = status(con, "sales_arrive")
    assert (found.state, found.sample.valid) == ("no_data", 0)


def test_a_source_that_rarely_delivers_has_no_pace(con):
    sell(con, "rare", NOW - 29 * DAY, NOW - 9 * DAY, 2 * DAY)
    assert status(con, "sales_arrive").state == "no_data"


def test_late_sales_are_counted_once(con):
    sell(con, "a", NOW - 10 * DAY, NOW - HOUR, HOUR)
    # A first evaluation covers three days.
    assert status(con, "sales_in_time", NOW).sample.good == 72
    sell(con, "a", NOW - 2 * DAY, NOW - 2 * DAY + 9 * HOUR, HOUR / 3, late=2 * DAY)
    later = status(con, "sales_in_time", NOW + 10 * HOUR)
    assert (later.sample.good, later.sample.valid) == (0, 28)
    assert later.state == "ticket"


def test_evaluating_twice_for_one_as_of_keeps_one_sample(con):
    sell(con, "a", NOW - 10 * DAY, NOW - HOUR, HOUR)
    first, second = status(con, "sales_in_time"), status(con, "sales_in_time")
    assert first.sample == second.sample
    assert len(read_samples(con, NOW + HOUR)["sales_in_time"]) == 1


def test_rows_that_lost_their_shape_page(con):
    sell(con, "a", NOW - 2 * DAY, NOW - HOUR, HOUR)
    con.execute(
        "insert into raw.quarantine by name select 'sales' as table_name, 'missing_column' as reason,"
        " 'open' as status, $at::timestamp as known_at from range(40)",
        {"at": NOW - HOUR},
    )
    found = status(con, "schema_valid")
    assert (found.sample.good, found.sample.valid, found.state) == (48, 88, "page")


def test_a_table_without_rows_is_no_data_and_is_named(con):
    found = status(con, "online_mdape")
    assert found.state == "no_data"
    assert found.sample.note == "monitoring.estimate_ledger has no rows yet"


def ledger(con, prices: str, sales: int = 300):
    con.execute(
        f"create or replace table monitoring.estimate_ledger as select $at::timestamp as event_time,"
        f" true as is_arms_length, 1.0 as estimate_eth, {prices} as price_eth, 0.7 as lower_eth, 1.4 as upper_eth,"
        " 1.3 as med_5_eth from range($sales) t(i)",
        {"at": NOW - DAY, "sales": sales},
    )


def test_error_and_coverage_of_the_ledger_match_a_calculation_by_hand(con):
    # Four in five at 1.25: error 20 %, inside. One in five at 2: error 50 %, outside.
    ledger(con, "case when i % 5 = 0 then 2.0 else 1.25 end")
    error, covered = status(con, "online_mdape"), status(con, "interval_coverage")
    assert error.sample.value == pytest.approx(0.2)
    assert covered.sample.value == pytest.approx(0.8)
    assert (error.state, covered.state) == ("ok", "ok")
    # The median of five is 1.3: 4 % off where the estimate is 20 % off.
    assert status(con, "online_error_beats_median").state == "ticket"


def test_with_few_sales_the_error_is_not_judged(con):
    ledger(con, "5.0", sales=99)
    found = status(con, "online_mdape")
    assert (found.state, found.sample.note) == ("no_data", "99 events, fewer than 100")


def test_alerts_follow_the_last_evaluation(con):
    sell(con, "a", NOW - 20 * DAY, NOW - DAY, HOUR)
    status(con, "sales_arrive")
    (alert,) = slo_alerts(con, list(SLOS.values()))
    assert slo_alerts(con, []) == []
    assert (alert.key, alert.severity, alert.runbook) == ("slo/sales_arrive", "page", "source-silent")
    sell(con, "a", NOW, NOW + 2 * HOUR, HOUR)
    status(con, "sales_arrive", NOW + 3 * HOUR)
    assert [a.severity for a in slo_alerts(con, list(SLOS.values()))] != ["page"]


def test_sql_that_does_not_run_or_lacks_a_column_names_the_slo(con):
    for sql in ("select nothing from raw.sales", "select 1 as good from raw.sales limit 1"):
        definition = SLOS["sales_in_time"].model_dump()
        wrong = Slo.model_validate({**definition, "name": "broken", "sli": {**definition["sli"], "sql": sql}})
        with pytest.raises(SloDefinitionError, match=r"^broken: sli\.sql: expected"):
            evaluate(con, [wrong], NOW)


@pytest.mark.slow
def test_a_pass_over_all_slos_of_an_empty_home_is_kept_and_finds_no_data(tmp_path):
    lake = Lake(LakeConfig(home=tmp_path, memory_limit="500MB"), TABLES)
    watch_slos(lake, list(SLOS.values()), NOW)
    with lake.read() as con:
        kept = con.execute("select slo, state from monitoring.slo_status").fetchall()
        samples = con.execute("select count(*) from monitoring.slo_samples where valid = 0").fetchone()
    assert dict(kept) == dict.fromkeys(SLOS, "no_data")
    assert samples == (len(SLOS),)


def trade(con, collections: int) -> None:
    """Collections that trade, each with two tokens that were valued an hour ago."""
    con.execute(
        "insert into marts.dim_collections by name select 'c' || i as collection, 100 as n_arms_length,"
        " $at::timestamp as last_sale_at, $at::timestamp as covered_until from range($n) t (i)",
        {"at": NOW - HOUR, "n": collections},
    )
    con.execute(
        "insert into predictions.token_estimates by name select collection, t::varchar as token_id,"
        " 1.0 as estimate_eth, $at::timestamp as as_of, $at::timestamp as feature_watermark"
        " from marts.dim_collections cross join range(2) r (t)",
        {"at": NOW - HOUR},
    )
    con.execute(
        "create or replace table marts.fct_sales as select collection, true as is_arms_length,"
        " $at::timestamp as known_at"
        " from marts.dim_collections",
        {"at": NOW - 2 * HOUR},
    )


def lose(con, collection: str, reason: str) -> None:
    """Its tokens have had no value for ten days."""
    con.execute(
        "update predictions.token_estimates set estimate_eth = null, feature_watermark = null, as_of = $at,"
        " no_value_reason = $reason where collection = $collection",
        {"at": NOW - 10 * DAY, "reason": reason, "collection": collection},
    )


def test_estimates_are_as_old_as_the_newest_value_and_without_any_there_is_no_data(con):
    trade(con, 2)
    assert status(con, "estimates_fresh").sample.value == 0
    con.execute("update predictions.token_estimates set as_of = $1", [NOW - 31 * HOUR])
    lose(con, "c0", "no_features")
    con.execute("update predictions.token_estimates set as_of = $1 where estimate_eth is null", [NOW])
    found = status(con, "estimates_fresh")
    assert (found.sample.value, found.sample.good) == (30, 0), "the sources cover one hour less"
    lose(con, "c1", "no_features")
    found = status(con, "estimates_fresh")
    assert (found.state, found.sample.value, found.sample.valid) == ("no_data", None, 0)


def put_aside(con, collection: str, stage: str) -> None:
    con.execute("insert into ops.set_aside by name select $1 as stage, $2 as collection", [stage, collection])


@pytest.mark.parametrize("name", ["collections_fresh", "estimate_coverage"])
def test_a_collection_that_is_set_aside_has_its_own_incident_and_burns_no_budget(con, name):
    trade(con, 20)
    lose(con, "c0", "set_aside")
    put_aside(con, "c0", "features.token_features")
    found = status(con, name)
    per_collection = 1 if name == "collections_fresh" else 2
    assert (found.sample.good, found.sample.valid) == (19 * per_collection,) * 2
    assert found.state == "ok"


@pytest.mark.parametrize("name", ["collections_fresh", "estimate_coverage"])
def test_a_collection_without_values_for_another_reason_counts(con, name):
    trade(con, 20)
    lose(con, "c0", "no_features")
    put_aside(con, "c0", "features.sale_features")
    found = status(con, name)
    assert found.sample.good < found.sample.valid
    assert found.state == "ticket"


def test_implausible_tokens_have_their_own_incident(con):
    trade(con, 20)
    con.execute(
        "update predictions.token_estimates set estimate_eth = null, no_value_reason = 'implausible_value'"
        " where token_id = '0' and collection = 'c0'"
    )
    found = status(con, "estimate_coverage")
    assert (found.sample.good, found.sample.valid) == (39, 39)
