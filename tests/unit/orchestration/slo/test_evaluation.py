"""Indicators on small hand-made tables, through the real lake."""

from datetime import datetime, timedelta

import pytest

from lake.config import LakeConfig
from lake.connection import Lake, ensure_tables
from orchestration.ingestion import INGEST_LOG_SCHEMA
from orchestration.slo.definitions import Slo, SloDefinitionError, load_slos
from orchestration.slo.tables import read_samples
from orchestration.slo.watch import slo_alerts, watch_slos
from sources.contract import QUARANTINE, RAW_TABLES

NOW = datetime(2026, 3, 1)  # noqa: DTZ001 - the lake keeps naive UTC
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SLOS = {slo.name: slo for slo in load_slos()}


@pytest.fixture
def lake(tmp_path):
    lake = Lake(LakeConfig(home=tmp_path, memory_limit="500MB"))
    with lake.write("raw tables") as con:
        ensure_tables(con, {f"raw.{name}": table.schema for name, table in RAW_TABLES.items()})
        ensure_tables(con, {"raw.quarantine": QUARANTINE.schema, "ops.ingest_log": INGEST_LOG_SCHEMA})
    return lake


def sell(lake, source: str, start: datetime, end: datetime, every: timedelta, late: timedelta = 0 * HOUR):
    with lake.write("sales") as con:
        con.execute(
            "insert into raw.sales by name select $source as source, t.at + $late as known_at, t.at as event_time,"
            " 0.0 as time_uncertainty_s from (select unnest(generate_series($start, $end, $every)) as at) t",
            {"source": source, "start": start, "end": end, "every": every, "late": late},
        )


def status(lake, name: str, now: datetime = NOW):
    return watch_slos(lake, [SLOS[name]], now)[0]


def test_a_source_that_tells_as_usual_is_good(lake):
    sell(lake, "a", NOW - 20 * DAY, NOW - HOUR, HOUR)
    found = status(lake, "sales_arrive")
    assert (found.sample.good, found.sample.valid, found.state) == (1, 1, "ok")


def test_a_source_that_falls_silent_pages_at_the_next_evaluation_and_recovers(lake):
    sell(lake, "a", NOW - 20 * DAY, NOW - DAY, HOUR)
    sell(lake, "b", NOW - 20 * DAY, NOW - HOUR, HOUR)
    found = status(lake, "sales_arrive")
    assert (found.sample.good, found.sample.valid, found.state) == (1, 2, "page")
    sell(lake, "a", NOW, NOW + HOUR, HOUR)
    assert status(lake, "sales_arrive", NOW + 2 * HOUR).sample.good == 2


def test_a_slow_source_is_judged_by_its_own_pace(lake):
    sell(lake, "daily", NOW - 29 * DAY, NOW - 2 * DAY, DAY)
    assert status(lake, "sales_arrive").state == "ok"


def test_a_source_that_has_ended_does_not_page_for_ever(lake):
    sell(lake, "archive", NOW - 90 * DAY, NOW - 30 * DAY, HOUR)
    found = status(lake, "sales_arrive")
    assert (found.state, found.sample.valid) == ("no_data", 0)


def test_a_source_that_hardly_tells_anything_has_no_pace(lake):
    sell(lake, "rare", NOW - 29 * DAY, NOW - 9 * DAY, 2 * DAY)
    assert status(lake, "sales_arrive").state == "no_data"


def test_late_sales_are_counted_once(lake):
    sell(lake, "a", NOW - 10 * DAY, NOW - HOUR, HOUR)
    # A first evaluation looks three days back.
    assert status(lake, "sales_in_time", NOW).sample.good == 72
    sell(lake, "a", NOW - 2 * DAY, NOW - 2 * DAY + 9 * HOUR, HOUR / 3, late=2 * DAY)
    later = status(lake, "sales_in_time", NOW + 10 * HOUR)
    assert (later.sample.good, later.sample.valid) == (0, 28)
    assert later.state == "ticket"


def test_evaluating_twice_at_one_instant_keeps_one_sample(lake):
    sell(lake, "a", NOW - 10 * DAY, NOW - HOUR, HOUR)
    first, second = status(lake, "sales_in_time"), status(lake, "sales_in_time")
    assert first.sample == second.sample
    with lake.read() as con:
        assert len(read_samples(con, NOW + HOUR)["sales_in_time"]) == 1


def test_rows_that_lost_their_shape_page(lake):
    sell(lake, "a", NOW - 2 * DAY, NOW - HOUR, HOUR)
    with lake.write("refused") as con:
        con.execute(
            "insert into raw.quarantine by name select 'sales' as table_name, 'missing_column' as reason,"
            " 'open' as status, $at::timestamp as known_at from range(40)",
            {"at": NOW - HOUR},
        )
    found = status(lake, "schema_valid")
    assert (found.sample.good, found.sample.valid, found.state) == (48, 88, "page")


def test_a_table_that_does_not_exist_yet_is_no_data_and_says_which(lake):
    found = status(lake, "online_mdape")
    assert found.state == "no_data"
    assert found.sample.note == "monitoring.estimate_ledger does not exist yet"


def ledger(lake, prices: str, sales: int = 300):
    with lake.write("a ledger") as con:
        con.execute(
            f"create or replace table monitoring.estimate_ledger as select $at::timestamp as event_time,"
            f" true as is_arms_length, 1.0 as estimate_eth, {prices} as price_eth, 0.7 as lower_eth, 1.4 as upper_eth,"
            " 1.3 as med_5_eth from range($sales) t(i)",
            {"at": NOW - DAY, "sales": sales},
        )


def test_error_and_coverage_of_the_ledger_are_worked_out_by_hand(lake):
    # Four in five at 1.25: error 20 %, inside. One in five at 2: error 50 %, outside.
    ledger(lake, "case when i % 5 = 0 then 2.0 else 1.25 end")
    error, covered = status(lake, "online_mdape"), status(lake, "interval_coverage")
    assert error.sample.value == pytest.approx(0.2)
    assert covered.sample.value == pytest.approx(0.8)
    assert (error.state, covered.state) == ("ok", "ok")
    # The median of five said 1.3: 4 % off where the estimate was 20 % off.
    assert status(lake, "online_error_beats_median").state == "ticket"


def test_few_sales_say_nothing_about_the_error(lake):
    ledger(lake, "5.0", sales=99)
    found = status(lake, "online_mdape")
    assert (found.state, found.sample.note) == ("no_data", "99 events, fewer than 100")


def test_alerts_follow_the_last_evaluation(lake):
    sell(lake, "a", NOW - 20 * DAY, NOW - DAY, HOUR)
    status(lake, "sales_arrive")
    with lake.read() as con:
        (alert,) = slo_alerts(con, list(SLOS.values()))
        assert slo_alerts(con, []) == []
    assert (alert.key, alert.severity, alert.runbook) == ("slo/sales_arrive", "page", "source-silent")
    sell(lake, "a", NOW, NOW + 2 * HOUR, HOUR)
    status(lake, "sales_arrive", NOW + 3 * HOUR)
    with lake.read() as con:
        assert [a.severity for a in slo_alerts(con, list(SLOS.values()))] != ["page"]


def test_sql_that_does_not_run_or_lacks_a_column_names_the_slo(lake):
    for sql in ("select nothing from raw.sales", "select 1 as good from raw.sales limit 1"):
        told = SLOS["sales_in_time"].model_dump()
        wrong = Slo.model_validate({**told, "name": "broken", "sli": {**told["sli"], "sql": sql}})
        with pytest.raises(SloDefinitionError, match=r"^broken: sli\.sql: expected"):
            watch_slos(lake, [wrong], NOW)
