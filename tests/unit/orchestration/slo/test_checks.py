"""The check of an SLO stands as the newest evaluation says, with its state and what was promised."""

from datetime import datetime, timedelta

import duckdb
import pytest

from lake.tables import create_missing
from ml.tables.registry import TABLES
from orchestration.checks.definition import CheckContext
from orchestration.checks.factory import judge, result_of
from orchestration.slo.checks import SERVICE_LEVELS
from orchestration.slo.definitions import allowed_share, load_slos
from orchestration.slo.evaluation import evaluate
from orchestration.slo.tables import read_samples, store

NOW = datetime(2026, 3, 1)  # noqa: DTZ001 - the lake keeps naive UTC
CHECKS = {check.name: check for check in SERVICE_LEVELS}


@pytest.fixture
def con():
    con = duckdb.connect(config={"threads": 1})
    create_missing(con, TABLES)
    yield con
    con.close()


def result(con, name: str):
    check = CHECKS[name]
    return result_of(check, judge(check, CheckContext(con, NOW)))


def test_before_the_first_evaluation_there_is_no_data_and_no_failure(con):
    assert result(con, "sales_arrive").passed
    assert "not evaluated yet" in result(con, "sales_arrive").description


def test_an_slo_that_pages_fails_its_check_with_state_and_bound(con):
    con.execute(
        "insert into raw.sales by name select 'one' as delivered_by, 'one' as source, t.at as known_at,"
        " t.at as event_time,"
        " 0.0 as time_uncertainty_s from (select unnest(generate_series($start, $end, interval 1 hour)) as at) t",
        {"start": NOW - timedelta(days=14), "end": NOW - timedelta(days=2)},
    )
    store(con, evaluate(con, load_slos(), NOW, read_samples(con, NOW)), NOW)
    failed = result(con, "sales_arrive")
    assert not failed.passed
    metadata = {name: value.value for name, value in failed.metadata.items()}
    assert metadata["state"] == "page"
    assert metadata["owner"].startswith("team:")
    assert metadata["runbook"] == "docs/runbook/source-silent.md"
    assert metadata["severity"] == "error", "of the check, not of the alert"


def test_one_rule_has_one_threshold():
    (slo,) = [slo for slo in load_slos() if slo.name == "quarantine_rate"]
    assert allowed_share("quarantine_rate") == 0.01
    assert allowed_share("quarantine_rate") + slo.objective == 1
    with pytest.raises(LookupError, match="expected the name of an SLO"):
        allowed_share("nonsense")
