"""Who is queued, in which order, and what happens after the training: helped, in vain, or over."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.monitoring.online_error import update_online_metrics
from ml.registry.mirror import Decision, record
from ml.retraining.effects import measure_effects
from ml.retraining.queue import mark_launched, mark_retuned, mark_trained, read_queue, refresh_queue, release
from ml.retraining.tables import EFFECTS, QUEUE
from tests.unit.ml.monitoring.ledger_of_errors import START, add_sales, make_ledger

NOW = START + timedelta(days=120)
BROKE = NOW - timedelta(days=6)


class QueueMarket:
    """A ledger and estimates; `monitor` is the part of a pass that is about models."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        make_ledger(con)

    def collection(self, name: str, value: float, bias: float = 0.6) -> None:
        add_sales(self.con, name, 200, START, BROKE)
        add_sales(self.con, name, 50, BROKE, NOW, bias=bias)
        self.con.execute(
            "insert into predictions.token_estimates by name select $1 as collection, 't' as token_id,"
            " $2 as estimate_eth",
            [name, value],
        )

    def sales(self, name: str, days: tuple[float, float], **options: Any) -> None:
        add_sales(self.con, name, 60, NOW + timedelta(days=days[0]), NOW + timedelta(days=days[1]), **options)

    def trained(self, name: str, run: str, action: str = "promoted", at: datetime = NOW) -> None:
        mark_launched(self.con, [name], run, at)
        mark_trained(self.con, [name], run, at, 72)
        decision = Decision(at, run, name, action, "r", "why", {}, f"{name}@2", f"{name}@1")
        record(self.con, [], [decision])

    def monitor(self, days: float = 0) -> dict[str, tuple[str, str, int]]:
        as_of = NOW + timedelta(days=days)
        update_online_metrics(self.con, as_of)
        measure_effects(self.con, as_of)
        refresh_queue(self.con, as_of)
        rows = self.con.execute(f"select collection, state, kind, attempts from {QUEUE}").fetchall()
        return {name: (state, kind, attempts) for name, state, kind, attempts in rows}


@pytest.fixture
def market() -> QueueMarket:
    return QueueMarket(duckdb.connect())


def test_on_the_lake_it_is_the_same(tmp_path: Path) -> None:
    lake = Lake(LakeConfig(home=tmp_path))
    with lake.write("a market from degradation to recovery") as con:
        market = QueueMarket(con)
        market.collection("apes", 10)
        assert market.monitor() == {"apes": ("queued", "retrain", 0)}
        market.trained("apes", "run-1")
        market.sales("apes", (1, 4), version="apes@2")
        assert market.monitor(4) == {"apes": ("done", "retrain", 1)}
    with lake.read() as con:
        assert read_queue(con, NOW).queued == ()


def test_the_queue_is_by_value_at_stake_times_degradation(market: QueueMarket) -> None:
    market.collection("small", 10)
    market.collection("large", 1000)
    market.collection("well", 5000, bias=0)
    market.monitor()
    assert read_queue(market.con, NOW).queued == ("large", "small")
    reason = market.con.execute(f"select reason from {QUEUE} where collection = 'large'").fetchone()
    assert reason is not None
    assert "errors grew from" in reason[0]
    assert market.monitor(0.1) == market.monitor(0.1), "a second pass changes nothing"


def test_a_training_that_helped_ends_it_and_the_effect_is_written_down(market: QueueMarket) -> None:
    market.collection("apes", 10)
    market.monitor()
    market.trained("apes", "run-1")
    assert market.monitor(0.5)["apes"] == ("cooling", "retrain", 1), "nothing is known yet"
    market.sales("apes", (1, 4), version="apes@2")
    assert market.monitor(4)["apes"][0] == "done"
    effects = market.con.execute(
        f"select action, verdict, n_after, mdape_before, mdape_after from {EFFECTS} where collection = 'apes'"
    ).fetchall()
    assert len(effects) == 1
    action, verdict, n, before, after = effects[0]
    assert (action, verdict, n) == ("promoted", "helped", 60)
    assert after < before


def test_a_training_that_did_not_help_asks_for_new_settings_and_then_for_a_fit(market: QueueMarket) -> None:
    market.collection("apes", 10)
    market.monitor()
    market.trained("apes", "run-1")
    market.sales("apes", (1, 4), version="apes@2", bias=0.7)
    assert market.monitor(4)["apes"] == ("queued", "retune", 1)
    mark_retuned(market.con, ["apes"])
    assert market.monitor(4.1)["apes"] == ("queued", "retrain", 1)


def test_a_training_that_changed_no_champion_is_queued_again_after_its_cooldown(market: QueueMarket) -> None:
    market.collection("apes", 10)
    market.monitor()
    market.trained("apes", "run-1", "kept")
    assert market.monitor(1)["apes"] == ("cooling", "retrain", 1)
    assert market.monitor(4)["apes"] == ("queued", "retune", 1)


def test_a_collection_that_recovered_by_itself_needs_nothing(market: QueueMarket) -> None:
    market.collection("apes", 10)
    market.monitor()
    market.sales("apes", (1, 20))
    assert market.monitor(20)["apes"][0] == "done"


def test_a_killed_run_gives_its_collections_back(market: QueueMarket) -> None:
    market.collection("apes", 10)
    market.monitor()
    assert mark_launched(market.con, ["apes", "unknown"], "run-1", NOW) == 1
    assert mark_launched(market.con, ["apes"], "run-1", NOW) == 0
    assert release(market.con, ["run-1"]) == 1
    assert market.monitor(0.1)["apes"] == ("queued", "retrain", 1)


def test_drift_alone_is_trained_once_and_then_done(market: QueueMarket) -> None:
    from ml.drift.tables import STATUS

    market.collection("apes", 10, bias=0)
    for name in ("apes", "(market) ethereum"):
        market.con.execute(
            f"insert into {STATUS} by name select $1 as collection, 'drifted' as state, 3 as drifted,"
            " 'rarity' as worst_feature, $2::timestamp as window_start, $3::timestamp as window_end",
            [name, BROKE, NOW],
        )
    assert market.monitor() == {"apes": ("queued", "retrain", 0)}
    market.trained("apes", "run-1")
    assert market.monitor(1)["apes"][0] == "cooling"
    assert market.monitor(4)["apes"][0] == "done"
    assert market.monitor(5)["apes"][0] == "done", "the same windows do not ask again"


def test_too_few_sales_after_a_decision_measure_no_effect() -> None:
    con = duckdb.connect()
    make_ledger(con)
    add_sales(con, "apes", 100, START, NOW)
    add_sales(con, "apes", 19, NOW, NOW + timedelta(days=3), version="apes@2")
    record(con, [], [Decision(NOW, "run-1", "apes", "promoted", "r", "why", {}, "apes@2", "apes@1")])
    assert measure_effects(con, NOW + timedelta(days=4)) == 0
    add_sales(con, "apes", 5, NOW + timedelta(days=4), NOW + timedelta(days=5), version="apes@2")
    assert measure_effects(con, NOW + timedelta(days=6)) == 1
    assert measure_effects(con, NOW + timedelta(days=7)) == 0, "once"


def test_sales_of_days_without_a_run_measure_no_effect() -> None:
    con = duckdb.connect()
    make_ledger(con)
    add_sales(con, "apes", 100, START, NOW)
    # No scoring runs after the decision: from the third day on, its sales do not count.
    valued: dict[str, Any] = {"version": "apes@2", "valued_at": NOW + timedelta(hours=1)}
    add_sales(con, "apes", 5, NOW + timedelta(hours=2), NOW + timedelta(hours=9), **valued)
    add_sales(con, "apes", 40, NOW + timedelta(days=3), NOW + timedelta(days=8), bias=2.0, **valued)
    record(con, [], [Decision(NOW, "run-1", "apes", "promoted", "r", "why", {}, "apes@2", "apes@1")])
    assert measure_effects(con, NOW + timedelta(days=9)) == 0
    add_sales(con, "apes", 20, NOW + timedelta(days=8), NOW + timedelta(days=9), version="apes@2")
    assert measure_effects(con, NOW + timedelta(days=10)) == 1
    assert con.execute(f"select verdict from {EFFECTS}").fetchone() != ("hurt",)
