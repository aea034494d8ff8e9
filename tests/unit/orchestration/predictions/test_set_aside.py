"""What an alert about a collection that is set aside says: what is lost, which value, and when many are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from lake.tables import create_missing
from ml.tables.registry import TABLES
from orchestration.alerts.outbox import Alert
from orchestration.predictions.set_aside import set_aside_alerts
from orchestration.resources import Assay
from orchestration.settings import load_settings
from orchestration.states import Severity

SALE, TOKEN = "features.sale_features", "features.token_features"


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect(config={"threads": 1})
    create_missing(con, TABLES)
    con.execute(
        "insert into features.index_state by name select 'c' || i as collection from range(100) t (i)"
    )
    yield con
    con.close()


def put_aside(
    con: duckdb.DuckDBPyConnection, collection: str, stage: str, value: str | None = "40.0"
) -> None:
    con.execute(
        "insert into ops.set_aside by name select $1 as stage, $2 as collection, 3 as rows, 'bid_gap' as column_name,"
        " $3 as value, 'a number from -30 to 30' as expected",
        [stage, collection, value],
    )


def find_implausible(con: duckdb.DuckDBPyConnection, collection: str, tokens: int) -> None:
    con.execute(
        "insert into predictions.token_estimates by name select $1 as collection, i::varchar as token_id,"
        " 'implausible_value' as no_value_reason from range($2) t (i)",
        [collection, tokens],
    )


def only(con: duckdb.DuckDBPyConnection) -> Alert:
    (alert,) = set_aside_alerts(con)
    return alert


def test_nothing_set_aside_is_no_alert(con: duckdb.DuckDBPyConnection) -> None:
    assert set_aside_alerts(con) == []


def test_the_token_stage_costs_the_values(con: duckdb.DuckDBPyConnection) -> None:
    put_aside(con, "c1", TOKEN)
    alert = only(con)
    assert alert.body == (
        "3 rows of features.token_features break a rule: bid_gap is 40.0, expected a number from -30 to 30. "
        "Its tokens have no value until this is corrected. All other collections go on."
    )
    assert (alert.key, alert.title) == ("set_aside/c1", "c1 was set aside")
    assert (alert.severity, alert.group) == (Severity.TICKET, "collections were set aside")


def test_the_sale_stage_costs_the_training_and_not_the_values(con: duckdb.DuckDBPyConnection) -> None:
    put_aside(con, "c1", SALE, None)
    alert = only(con)
    assert "bid_gap is null, expected" in alert.body
    assert "No model learns from its sales" in alert.body
    assert "no value" not in alert.body


def test_implausible_values_set_nothing_aside(con: duckdb.DuckDBPyConnection) -> None:
    find_implausible(con, "c1", 2)
    alert = only(con)
    assert (alert.title, alert.group) == ("c1 has implausible values", "collections have implausible values")
    assert alert.body == (
        "2 tokens have a price or an interval that no token can be worth. Only these tokens have no value. "
        "All other collections go on."
    )


def test_all_that_is_true_of_a_collection_is_in_one_alert(con: duckdb.DuckDBPyConnection) -> None:
    put_aside(con, "c1", TOKEN)
    put_aside(con, "c1", SALE)
    find_implausible(con, "c1", 1)
    body = only(con).body
    sentences = ["No model learns from its sales", "Its tokens have no value", "1 tokens have a price"]
    assert [body.find(sentence) >= 0 for sentence in sentences] == [True] * 3
    assert sorted(sentences, key=body.find) == sentences


def test_each_collection_has_its_own_alert_and_few_do_not_page(con: duckdb.DuckDBPyConnection) -> None:
    for number in range(5):
        put_aside(con, f"c{number}", TOKEN)
    assert [alert.key for alert in set_aside_alerts(con)] == [f"set_aside/c{i}" for i in range(5)]


def test_many_without_values_page_because_no_service_level_does(con: duckdb.DuckDBPyConnection) -> None:
    for number in range(6):
        put_aside(con, f"c{number}", TOKEN)
    pages = [alert for alert in set_aside_alerts(con) if alert.severity is Severity.PAGE]
    assert [alert.title for alert in pages] == [
        "6 of 100 collections with an index were set aside or have implausible values only"
    ]
    con.execute("delete from features.index_state where collection > 'c1'")
    con.execute("delete from ops.set_aside where collection > 'c2'")
    assert {alert.severity for alert in set_aside_alerts(con)} == {Severity.TICKET}, "3 of a small home"


def test_collections_without_any_plausible_value_count_among_the_many(con: duckdb.DuckDBPyConnection) -> None:
    for number in range(4):
        put_aside(con, f"c{number}", TOKEN)
        find_implausible(con, f"c{number + 3}", 2)
    pages = [alert for alert in set_aside_alerts(con) if alert.severity is Severity.PAGE]
    assert [alert.title[:8] for alert in pages] == ["7 of 100"], "c3 counts once"
    con.execute(
        "update predictions.token_estimates set estimate_eth = 1, no_value_reason = null where token_id = '1'"
    )
    assert {alert.severity for alert in set_aside_alerts(con)} == {Severity.TICKET}, "they have other values"


def test_many_at_the_sale_stage_keep_their_values_and_do_not_page(con: duckdb.DuckDBPyConnection) -> None:
    for number in range(60):
        put_aside(con, f"c{number}", SALE)
    assert {alert.severity for alert in set_aside_alerts(con)} == {Severity.TICKET}


def test_a_name_from_outside_stays_on_one_line(con: duckdb.DuckDBPyConnection) -> None:
    put_aside(con, "it's\n\x1b[31mred", TOKEN, "a'b")
    alert = only(con)
    assert alert.title == "it's\\n\\x1b[31mred was set aside"
    assert "bid_gap is a'b" in alert.body


def test_incidents_follow_the_records(tmp_path: Path) -> None:
    from orchestration.predictions.set_aside import report_set_aside

    as_of = datetime(2024, 5, 1)  # noqa: DTZ001 - the lake keeps naive UTC
    assay = Assay(load_settings(home=tmp_path, as_of=as_of))
    with assay.lake.write("set aside") as con:
        put_aside(con, "c1", TOKEN)
    assert report_set_aside(assay).opened == ("set_aside/c1",)
    assert report_set_aside(assay).opened == ()
    with assay.lake.write("over") as con:
        con.execute("delete from ops.set_aside")
    assert report_set_aside(assay).resolved == ("set_aside/c1",)
