"""Service levels of the API from a request log: what is down, what is no data, and that no minute counts twice."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from lake.tables import create_missing
from ml.tables.registry import TABLES
from orchestration.slo.api import register_api
from orchestration.slo.definitions import load_slos
from orchestration.slo.evaluation import Status, evaluate
from orchestration.slo.tables import read_samples, store
from serving.metrics.expected_minutes import ApiWatch
from serving.metrics.request_log import RequestLog, Server
from serving.metrics.requests import RouteTotals

NOW = datetime(2026, 3, 1, 12, 0, 30)  # noqa: DTZ001 - the lake keeps naive UTC
START = int(datetime(2026, 3, 1, 11, tzinfo=UTC).timestamp())
SLOS = [slo for slo in load_slos() if slo.name.startswith("api_")]
ROUTE = "/v1/tokens/{collection}/{token}"


@pytest.fixture
def con():
    con = duckdb.connect(config={"threads": 1})
    create_missing(con, TABLES)
    yield con
    con.close()


@pytest.fixture
def log(tmp_path: Path) -> RequestLog:
    return RequestLog(tmp_path / "requests.sqlite")


def server(minute: int = 0, port: int = 8000) -> Server:
    return Server(f"{port}-{minute}", f"127.0.0.1:{port}", START + 60.0 * minute)


def answer(log: RequestLog, who: Server, minutes: range, **routes: RouteTotals) -> None:
    log.begin(who)
    for minute in minutes:
        log.add(
            who,
            1,
            START + 60 * minute,
            {ROUTE if name == "token" else name: one for name, one in routes.items()},
        )


def judge(
    con, log: RequestLog, now: datetime = NOW, as_of: datetime = NOW, always: bool = False
) -> dict[str, Status]:
    register_api(con, ApiWatch(log.path, now, always), as_of)
    found = evaluate(con, SLOS, as_of, read_samples(con, as_of))
    store(con, found, as_of, now)
    return {status.slo.name: status for status in found}


def counts(status: Status) -> tuple[float, float]:
    return status.sample.good, status.sample.valid


def test_without_a_log_or_without_traffic_there_is_no_data_and_not_good(con, log):
    assert {status.state for status in judge(con, log).values()} == {"no_data"}
    answer(log, server(), range(60))
    found = judge(con, log)
    assert (found["api_answers"].state, found["api_fast"].state) == ("no_data", "no_data")
    assert counts(found["api_up"]) == (59, 59), "the last minute may not be written yet"
    assert found["api_up"].state == "ok"


def test_answers_and_errors_are_counted_by_route(con, log):
    answer(
        log,
        server(),
        range(60),
        token=RouteTotals(100, 2, [90, 98, 100]),
        **{
            "/v1/tokens/{collection}/{token}/explanation": RouteTotals(10, 0, [0, 0, 1]),
            "/healthz": RouteTotals(1000, 0, [1000] * 3),
            "refused": RouteTotals(1000, 0, [1000] * 3),
        },
    )
    found = judge(con, log)
    assert counts(found["api_answers"]) == (59 * 108, 59 * 110)
    assert counts(found["api_fast"]) == (59 * 98, 59 * 100)
    assert (found["api_answers"].state, found["api_fast"].state) == ("page", "ticket")


def test_an_api_that_was_killed_is_down_until_it_starts_again(con, log):
    answer(log, server(), range(20))
    found = judge(con, log)
    assert counts(found["api_up"]) == (20, 59)
    assert found["api_up"].state == "page"
    answer(log, server(40), range(40, 60))
    assert counts(judge(con, log)["api_up"]) == (39, 59)


def test_an_api_that_was_stopped_is_not_expected_unless_it_always_is(con, log):
    answer(log, server(), range(20))
    log.stop(server(), START + 60.0 * 20)
    assert counts(judge(con, log)["api_up"]) == (20, 20)
    assert counts(judge(con, log, always=True)["api_up"]) == (20, 59)


def test_each_address_is_expected_for_itself(con, log):
    answer(log, server(), range(60))
    answer(log, server(30, port=9000), range(30, 40))
    assert counts(judge(con, log)["api_up"]) == (59 + 10, 59 + 29)


def test_an_address_that_never_came_back_has_ended_after_two_weeks(con, log):
    answer(log, server(), range(20))
    judge(con, log)
    later = NOW + timedelta(days=15)
    found = judge(con, log, later, later)
    assert found["api_up"].sample.valid == pytest.approx(14 * 1440, abs=60)
    much_later = later + timedelta(days=1)
    assert judge(con, log, much_later, much_later)["api_up"].sample.valid == 0


def test_where_an_api_must_run_an_address_that_was_given_up_ends_and_the_last_one_does_not(con, log):
    """An API moved to another port is judged there only, once the old address is long silent."""
    answer(log, server(), range(20))
    log.stop(server(), START + 60.0 * 20)
    answer(log, server(30, port=9000), range(30, 40))
    judge(con, log, always=True)
    sixteen_days = NOW + timedelta(days=16)
    judge(con, log, sixteen_days, sixteen_days, always=True)
    later = sixteen_days + timedelta(hours=1)
    assert counts(judge(con, log, later, later, always=True)["api_up"]) == (0, 60), "one address, not two"


def test_no_minute_is_counted_twice_or_left_out(con, log):
    """The clock of the market and that of the machine have nothing to do with each other."""
    answer(log, server(), range(180), token=RouteTotals(1, 0, [1, 1, 1]))
    seen = 0.0
    for number, minutes in enumerate((7, 50, 0, 31, 90)):
        now = NOW.replace(hour=11) + timedelta(minutes=sum((7, 50, 0, 31, 90)[: number + 1]))
        seen += judge(con, log, now, NOW + timedelta(days=number))["api_answers"].sample.valid
        assert minutes >= 0
    assert seen == 177, "178 minutes have passed, the last one may not be written yet"


def test_evaluating_again_for_the_same_time_replaces_what_was_counted(con, log):
    answer(log, server(), range(60), token=RouteTotals(1, 0, [1, 1, 1]))
    judge(con, log, NOW - timedelta(minutes=30), NOW - timedelta(days=1))
    first = judge(con, log)["api_answers"].sample
    again = judge(con, log, NOW + timedelta(minutes=5))["api_answers"].sample
    assert (first.valid, again.valid) == (30, 31)
    assert con.execute(
        "select count(*) from monitoring.slo_samples where slo = 'api_answers'"
    ).fetchone() == (2,)


def test_a_damaged_log_stops_no_other_service_level(con, log, caplog):
    log.path.write_bytes(b"no database" * 1000)
    assert {status.state for status in judge(con, log).values()} == {"no_data"}
    assert "cannot be read" in caplog.text
