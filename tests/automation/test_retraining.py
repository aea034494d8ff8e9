"""Ticks of the retraining sensors on a real instance: cap, cooldown, daily budget, kill switch, one run per need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.monitoring.online_error import TABLE as ONLINE
from ml.retraining.queue import mark_launched, mark_trained, read_queue, release
from ml.retraining.tables import QUEUE
from ml.tables.registry import TABLES
from orchestration.definitions import build_defs
from orchestration.models.jobs import retrain_worklist
from orchestration.models.worklist import collections_of
from orchestration.partitions import collections
from orchestration.resources import Assay
from orchestration.retraining.queueing import queue_work
from orchestration.retraining.restoring import restore_champions
from orchestration.retraining.sensors import RETRAIN_DRIFTED, RETRAINING_TAG, build_retraining_sensors
from orchestration.retraining.worklist import Memory
from orchestration.settings import load_settings


class HomeWithQueue:
    """A home with a queue, its instance, and a daemon that ticks on request. Days pass by `tomorrow`."""

    def __init__(self, lake: Lake, instance: dg.DagsterInstance) -> None:
        self.lake, self.instance = lake, instance
        self.cursor: str | None = None
        self.as_of = datetime(2024, 5, 1, 13)  # noqa: DTZ001 - the lake keeps naive UTC
        self.options: dict[str, Any] = {"retrain_cap": 5, "retrain_daily_budget": 8, "retrain_cooldown_h": 72}

    @property
    def assay(self) -> Assay:
        return Assay(load_settings(home=self.lake.config.home, as_of=self.as_of, **self.options))

    def queue(self, n: int, prefix: str = "c") -> None:
        with self.assay.lake.write("a test's queue") as con:
            con.execute(
                f"insert into {QUEUE} by name select ? || lpad(i::varchar, 4, '0') as collection, 'retrain' as kind,"
                " 'test' as reason, 1.0 as value_eth, 1.0 as severity, 10000.0 - i as priority, 0 as attempts,"
                " 'queued' as state, $2::timestamp as first_seen from range($3) as r (i)".replace("?", "$1"),
                [prefix, self.as_of, n],
            )

    def tick(self, name: str = RETRAIN_DRIFTED, *, keep: bool = True, **context: Any) -> Any:
        assay = self.assay
        defs = dg.Definitions(
            jobs=[retrain_worklist, restore_champions],
            sensors=build_retraining_sensors(enabled=True),
            resources={"assay": assay},
        )
        repository = defs.get_repository_def()
        with dg.build_sensor_context(
            instance=self.instance,
            repository_def=repository,
            cursor=context.get("cursor", self.cursor),
            resources={"assay": assay},
        ) as sensor:
            data = repository.get_sensor_def(name).evaluate_tick(sensor)
            if keep:
                self.cursor = sensor.cursor
        return data

    def asked(self, **context: Any) -> list[str]:
        requests = self.tick(**context).run_requests
        assert len(requests) <= 1
        return keys_of(requests[0]) if requests else []

    def run(
        self,
        request: Any,
        status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS,
        failed: Sequence[str] = (),
    ) -> str:
        """What the daemon and the job do with a request, without the training; the fits of `failed` fail."""
        run = self.instance.create_run_for_job(
            retrain_worklist, run_config=dict(request.run_config), tags=dict(request.tags), status=status
        )
        with self.assay.lake.write("as the job does") as con:
            mark_launched(con, keys_of(request), run.run_id, self.as_of)
            if status is dg.DagsterRunStatus.SUCCESS:
                trained = [key for key in keys_of(request) if key not in failed]
                mark_trained(con, trained, run.run_id, self.as_of, self.options["retrain_cooldown_h"])
        return run.run_id

    def states(self) -> dict[str, int]:
        with self.assay.lake.read() as con:
            return dict(con.execute(f"select state, count(*) from {QUEUE} group by 1").fetchall())

    def tomorrow(self, days: int = 1) -> None:
        self.as_of += timedelta(days=days)


def keys_of(request: Any) -> list[str]:
    return collections_of(request.run_config)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(LakeConfig(home=tmp_path_factory.mktemp("home")), TABLES)


@pytest.fixture
def home(lake: Lake) -> Iterator[HomeWithQueue]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield HomeWithQueue(lake, instance)
    with lake.write("the next test begins with nothing") as con:
        con.execute(f"delete from {QUEUE}")
        con.execute("delete from ops.set_aside")


def test_the_most_valuable_are_trained_in_one_run_up_to_the_cap_and_the_days_budget(
    home: HomeWithQueue,
) -> None:
    home.queue(20)
    first = home.tick().run_requests
    assert [keys_of(r) for r in first] == [[f"c000{i}" for i in range(5)]]
    home.run(first[0])
    second = home.tick().run_requests
    assert keys_of(second[0]) == ["c0005", "c0006", "c0007"], "eight a day, five of them are spent"
    home.run(second[0])
    assert "budget" in home.tick().skip_message
    home.tomorrow()
    assert home.asked() == [f"c{i:04}" for i in range(8, 13)], "a new day, a new budget"
    assert home.states() == {"cooling": 8, "queued": 12}


def test_a_collection_is_not_trained_again_before_its_cooldown_is_over(home: HomeWithQueue) -> None:
    home.queue(2)
    home.run(home.tick().run_requests[0])
    with home.assay.lake.write("it asks again") as con:
        con.execute(f"update {QUEUE} set state = 'queued'")
    for _ in range(3):
        assert home.asked() == []
        home.tomorrow()
    assert home.asked() == ["c0000", "c0001"]


def test_two_ticks_at_once_ask_for_the_same_run(home: HomeWithQueue) -> None:
    home.queue(3)
    one = home.tick(keep=False).run_requests[0]
    other = home.tick(keep=False).run_requests[0]
    assert one.run_key == other.run_key, "Dagster starts one run per key"
    assert keys_of(one) == keys_of(other)


def test_another_try_of_the_same_collections_is_another_run(home: HomeWithQueue) -> None:
    home.options["retrain_cooldown_h"] = 0
    home.queue(2)
    first = home.tick().run_requests[0]
    run = home.run(first, dg.DagsterRunStatus.FAILURE)
    with home.assay.lake.write("the monitoring pass finds the failed run") as con:
        assert release(con, [run]) == 2
    again = home.tick().run_requests[0]
    assert keys_of(again) == keys_of(first)
    assert again.run_key != first.run_key


def test_a_fit_that_failed_in_a_run_that_succeeded_waits_again(home: HomeWithQueue) -> None:
    home.queue(2)
    with home.assay.lake.write("both err") as con:
        con.execute(
            f"insert into {ONLINE} by name select collection, 'degraded' as state, 50 as n, 0.3 as mdape,"
            f" 0.1 as past_mdape, $1::timestamp as window_start, $1::timestamp as window_end from {QUEUE}",
            [home.as_of],
        )
    try:
        home.run(home.tick().run_requests[0], failed=["c0001"])
        assert home.states() == {"cooling": 1, "launched": 1}
        state, _, _ = queue_work(home.assay, home.instance)
        assert (state.queued, state.launched, state.cooling) == (("c0001",), 0, 1)
        assert home.asked() == [], "not before the cooldown is over"
        home.tomorrow(3)
        assert home.asked() == ["c0001"]
    finally:
        with home.lake.write("the next test begins with nothing") as con:
            con.execute(f"delete from {ONLINE}")


def test_while_its_run_goes_on_nothing_more_is_asked_for(home: HomeWithQueue) -> None:
    home.queue(9)
    home.run(home.tick().run_requests[0], dg.DagsterRunStatus.STARTED)
    assert "has not ended" in home.tick().skip_message


def test_the_kill_switch_stops_both_sensors(home: HomeWithQueue) -> None:
    home.queue(3)
    home.options["acting"] = False
    for name in (RETRAIN_DRIFTED, "roll_back_worse"):
        evaluated = home.tick(name)
        assert not evaluated.run_requests
        assert "ASSAY_ACTING" in evaluated.skip_message
    home.options["acting"] = True
    assert home.asked() == ["c0000", "c0001", "c0002"]


def test_a_lost_or_damaged_cursor_is_replaced_by_the_runs(home: HomeWithQueue) -> None:
    home.queue(8)
    request = home.tick().run_requests[0]
    home.instance.create_run_for_job(
        retrain_worklist,
        run_config=dict(request.run_config),
        tags=dict(request.tags),
        status=dg.DagsterRunStatus.SUCCESS,
    )
    for cursor in (None, "{", json.dumps({"requested": [1]})):
        assert home.asked(cursor=cursor, keep=False) == ["c0005", "c0006", "c0007"]


def test_the_cursor_forgets_requests_past_cooldown_and_budget(home: HomeWithQueue) -> None:
    home.queue(5)
    home.run(home.tick().run_requests[0])
    home.tomorrow(10)
    home.tick()
    remembered = Memory.of_cursor(home.cursor)
    assert remembered is not None
    assert remembered.requested == {}


def test_a_home_without_a_queue_asks_for_nothing(home: HomeWithQueue) -> None:
    assert "nothing waits" in home.tick().skip_message
    assert home.tick("roll_back_worse").run_requests == []


def test_three_hundred_of_three_thousand_are_one_run(home: HomeWithQueue) -> None:
    home.options |= {"retrain_cap": 300, "retrain_daily_budget": 600}
    home.instance.add_dynamic_partitions(str(collections.name), [f"c{i:04}" for i in range(3000)])
    home.queue(3000)
    request = home.tick().run_requests
    assert len(request) == 1
    assert len(keys_of(request[0])) == 300
    assert request[0].tags[RETRAINING_TAG] == RETRAIN_DRIFTED


def test_one_setting_enables_every_schedule_and_sensor(tmp_path: Path) -> None:
    on = build_defs(load_settings(home=tmp_path, collections=1, enable_schedules=True))
    assert {s.name: s.cron_schedule for s in on.schedules or []} == {
        "hourly_refresh": "7 * * * *",
        "retrain_mon_wed_fri": "37 4 * * 1,3,5",
        "weekly_tuning": "17 1 * * 0",
        "daily_maintenance": "30 3 * * *",
    }
    assert all(s.default_status == dg.DefaultScheduleStatus.RUNNING for s in on.schedules or [])
    sensors = {s.name: s.default_status for s in on.sensors or []}
    assert {RETRAIN_DRIFTED, "roll_back_worse", "discover_collections", "deliver_alerts"} <= set(sensors)
    assert set(sensors.values()) == {dg.DefaultSensorStatus.RUNNING}


def test_collections_whose_sales_are_set_aside_wait_and_cost_no_budget(home: HomeWithQueue) -> None:
    home.queue(7)
    with home.assay.lake.write("set aside") as con:
        con.execute(
            "insert into ops.set_aside by name select 'features.sale_features' as stage, collection"
            f" from {QUEUE} where collection < 'c0003'"
        )
        con.execute(
            "insert into ops.set_aside by name select 'features.token_features' as stage, 'c0005' as collection"
        )
    assert home.asked() == ["c0003", "c0004", "c0005", "c0006"]
    assert home.states() == {"queued": 7}
    with home.assay.lake.read() as con:
        assert read_queue(con, home.as_of).queued == ("c0003", "c0004", "c0005", "c0006")
