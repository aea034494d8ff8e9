"""Checks pass on good rows and fail on planted bad ones, and name them and the command."""

from datetime import date, datetime, timedelta

import dagster as dg
import duckdb
import pytest

from lake.tables import create_missing
from ml.tables.registry import TABLES
from orchestration.checks.definition import CheckContext, share_against_before
from orchestration.checks.factory import evaluation_of, judge, result_of, spec_of
from orchestration.dagster_internals import serialize_value
from orchestration.graph import CHECK_GROUPS
from orchestration.models.checks import record_failures

NOW = datetime(2026, 3, 2)  # noqa: DTZ001 - a Monday; the lake keeps naive UTC
DAY = timedelta(days=1)
CHECKS = [check for group in CHECK_GROUPS.values() for check in group]
BY_NAME = {check.name: check for check in CHECKS}


@pytest.fixture
def con():
    """A database whose catalog has the lake's name, with empty raw tables."""
    con = duckdb.connect(config={"threads": 1})
    con.execute("attach ':memory:' as lake")
    con.execute("use lake")
    create_missing(con, TABLES)
    yield con
    con.close()


def find(con, name: str):
    return judge(BY_NAME[name], CheckContext(con, NOW))


def sell(con, rows: int, **changes: str) -> None:
    """Good sales of yesterday; `changes` are SQL by column."""
    values = {
        "chain": "'ethereum'",
        "collection": "'apes'",
        "token_id": "i::varchar",
        "tx_hash": "'0x' || i",
        "log_index": "0",
        "sub_index": "0",
        "event_time": f"timestamp '{NOW - DAY}'",
        "time_uncertainty_s": "0.0",
        "known_at": f"timestamp '{NOW - DAY}'",
        "price_native": "1.0",
        "currency": "'ETH'",
        "delivered_by": "'files'",
        "source": "'one'",
        "source_row": "'sales:' || i",
        **changes,
    }
    columns = ", ".join(f"{sql} as {name}" for name, sql in values.items())
    con.execute(f"insert into raw.sales by name select {columns} from range({rows}) t(i)")


def test_every_check_has_a_severity_and_a_command(root_of_docs):
    specs = [spec_of(check) for check in CHECKS]
    assert len({(spec.asset_key, spec.name) for spec in specs}) == len(specs) >= 25
    for spec in specs:
        assert spec.metadata["severity"] in ("error", "warn")
        assert spec.metadata["what_to_do"].startswith("assay ")
        assert (root_of_docs / spec.metadata["runbook"]).is_file(), spec.metadata["runbook"]


def test_dagster_can_store_every_finding(con):
    for check in CHECKS:
        assert check.name in serialize_value(evaluation_of(check, find(con, check.name)))


def test_rows_that_meet_the_contract_pass_and_each_broken_rule_fails(con):
    sell(con, 50, side="'private'")
    assert find(con, "sales_meet_the_contract").passed
    sell(con, 1, currency="null")
    sell(con, 2, side="'stolen'")
    sell(con, 3, price_native="'infinity'::double")
    found = find(con, "sales_meet_the_contract")
    assert (found.passed, found.numbers["offending_rows"]) == (False, 6)
    assert set(found.rows["column"]) >= {"currency", "side", "price_native"}
    result = result_of(BY_NAME["sales_meet_the_contract"], found)
    assert result.severity == dg.AssetCheckSeverity.ERROR
    assert "sales:0" in result.metadata["failed_rows"].value


def test_a_row_ingested_twice_fails(con):
    sell(con, 5)
    assert find(con, "sales_are_unique").passed
    sell(con, 1)
    found = find(con, "sales_are_unique")
    assert (found.passed, found.rows["source_row"].tolist()) == (False, ["sales:0"])


def log_days(con, counts) -> None:
    for age, rows in counts:
        con.execute(
            "insert into ops.ingest_log values ('sales', 'files', ?, ?, 0, 'x')",
            [date(2026, 3, 2) - timedelta(days=age), rows],
        )
        sell(con, rows, known_at=f"timestamp '{NOW - age * DAY}'", sale_type="'secondary'")
    # A launch: no reason to warn.
    sell(con, 5000, sale_type="'primary'")


@pytest.mark.parametrize(
    ("yesterday", "passed"), [(500, True), (430, True), (0, False), (200, False), (1300, False)]
)
def test_a_day_is_compared_with_the_same_weekday(con, yesterday, passed):
    """Sundays bring 500, other days 100; yesterday was a Sunday."""
    log_days(con, [(age, 500 if age % 7 == 1 else 100) for age in range(2, 57)])
    log_days(con, [(1, yesterday)])
    found = find(con, "sales_volume")
    assert (found.passed, found.numbers["expected"]) == (passed, 500)


def test_a_source_that_has_ended_has_no_volume_to_expect(con):
    log_days(con, [(age, 0) for age in range(1, 57)])
    found = find(con, "sales_volume")
    assert found.passed
    assert "0 rows expected" in found.note


def test_references_to_nothing_fail(con):
    con.execute(
        "create or replace table marts.dim_tokens as"
        " select 'apes' as collection, i::varchar as token_id from range(5) t(i)"
    )
    con.execute(
        "create or replace table marts.fct_sales as"
        " select collection, token_id, 's' || token_id as sale_id from marts.dim_tokens"
    )
    assert find(con, "fct_sales_exist_in_dim_tokens").passed
    con.execute("insert into marts.fct_sales values ('apes', '99', 's99')")
    found = find(con, "fct_sales_exist_in_dim_tokens")
    assert (found.passed, found.rows["token_id"].tolist()) == (False, ["99"])


def test_a_sale_missing_from_the_index_or_twice_in_it_fails(con):
    con.execute(
        "create or replace table marts.fct_sales as select 'apes' as collection, 's' || i as sale_id,"
        " true as is_arms_length from range(5) t(i)"
    )
    con.execute(
        "create or replace table features.hedonic_index as select collection, sale_id from marts.fct_sales"
    )
    assert find(con, "every_sale_is_in_the_index_once").passed
    con.execute("insert into features.hedonic_index values ('apes', 's0')")
    assert not find(con, "every_sale_is_in_the_index_once").passed
    con.execute("delete from features.hedonic_index")
    assert not find(con, "every_sale_is_in_the_index_once").passed


def test_prices_far_from_the_recent_median_fail(con):
    con.execute(
        "create or replace table marts.fct_collection_state as"
        " select 'apes' as collection, 1.0 as med_30, $at::timestamp as known_at",
        {"at": NOW - 100 * DAY},
    )
    con.execute(
        "create or replace table marts.fct_sales as"
        " select 'apes' as collection, $at::timestamp - i * interval 1 hour as known_at,"
        " $at::timestamp - i * interval 1 hour as as_of, 1.0::double as price_eth, false as is_wash,"
        " false as is_low_outlier"
        " from range(2000) t(i)",
        {"at": NOW - timedelta(hours=1)},
    )
    assert find(con, "prices_against_the_recent_median").passed
    con.execute(
        "update marts.fct_sales set price_eth = 2000 where known_at > $at and hour(known_at) < 4",
        {"at": NOW - 2 * DAY},
    )
    found = find(con, "prices_against_the_recent_median")
    assert found.passed, "8 of 168 is within reason"
    con.execute("update marts.fct_sales set price_eth = 2000 where known_at > $at", {"at": NOW - 2 * DAY})
    assert not find(con, "prices_against_the_recent_median").passed


def test_a_share_on_few_events_is_not_judged(con):
    measure = share_against_before(
        "select 9, 9, 0, 100 where $as_of is not null", least=0.1, times=3, min_events=10
    )
    assert measure(CheckContext(con, NOW)).passed


def publish(con, estimate: str, tokens: int = 300) -> None:
    con.execute(
        f"create or replace table predictions.token_estimates as select 'apes' as collection, i::varchar as token_id,"
        f" {estimate} as estimate_eth, 0.5 as lower_80_eth, 2.0 as upper_80_eth,"
        " 0.4 as lower_90_eth, 2.5 as upper_90_eth,"
        f" 1.1::double as expected_eth, 'pooled' as tier, $at::timestamp as as_of from range({tokens}) t(i)",
        {"at": NOW},
    )


def test_estimates_out_of_the_schema_fail(con):
    publish(con, "1.0")
    assert find(con, "estimates_meet_the_schema").passed
    con.execute("update predictions.token_estimates set tier = 'guess' where token_id = '7'")
    con.execute("update predictions.token_estimates set expected_eth = 'nan' where token_id = '8'")
    found = find(con, "estimates_meet_the_schema")
    assert (found.passed, found.numbers["offending_rows"]) == (False, 2)
    assert set(found.rows["token_id"]) == {"7", "8"}


def test_many_estimates_that_moved_by_more_than_half_fail(con):
    con.execute(
        "create or replace table predictions.estimate_history as select 'apes' as collection, i::varchar as token_id,"
        " 1.0 as estimate_eth, $at::timestamp as as_of from range(300) t(i)",
        {"at": NOW - 2 * DAY},
    )
    publish(con, "case when i < 30 then 1.6 else 1.2 end")
    assert find(con, "estimates_follow_the_last_ones").passed
    publish(con, "case when i < 31 then 0.4 else 1.2 end")
    found = find(con, "estimates_follow_the_last_ones")
    assert not found.passed
    assert found.rows["jumped"].tolist() == [31]


@pytest.mark.parametrize(("inside", "passed"), [(0.80, True), (0.74, True), (0.60, False), (0.97, False)])
def test_intervals_outside_their_coverage_beyond_chance_fail(con, inside, passed):
    con.execute(
        "create or replace table monitoring.estimate_ledger as"
        " select true as is_arms_length, 0.5 as lower_eth, 2.0 as upper_eth,"
        " case when i < $inside * 400 then 1.0 else 3.0 end as price_eth, $at::timestamp as event_time"
        " from range(400) t(i)",
        {"inside": inside, "at": NOW - DAY},
    )
    assert find(con, "intervals_keep_their_promise").passed is passed


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_home_where_nothing_was_built_yet_fails_no_check(con, name):
    assert find(con, name).passed


def test_a_collection_left_failed_names_the_command_and_passes_after_training(con):
    from ml.training.collections import TrainingOutcome

    def outcome(collection: str, status: str) -> TrainingOutcome:
        return TrainingOutcome(collection, status, None, None, "no memory")

    record_failures(con, [outcome("apes", "trained"), outcome("odd name", "failed")], "run-1", NOW)
    found = find(con, "no_partition_left_failed")
    assert not found.passed
    assert found.commands == "assay retrain 'odd name' --reason 'failed before'"
    record_failures(con, [outcome("odd name", "skipped")], "run-2", NOW)
    assert find(con, "no_partition_left_failed").passed


def test_a_value_twice_in_the_history_fails(con):
    con.execute(
        "create or replace table predictions.estimate_history as"
        " select 'apes' as collection, i::varchar as token_id, 'm' as"
        " model_version, 'p' as prior_version, $at::timestamp as as_of from range(5) t(i)",
        {"at": NOW},
    )
    assert find(con, "history_is_unique").passed
    con.execute("insert into predictions.estimate_history select * from predictions.estimate_history limit 1")
    found = find(con, "history_is_unique")
    assert (found.passed, found.rows["times"].tolist()) == (False, [2])
