"""The watchdog on a real Dagster instance: what has failed alerts, what works does not, the dead-man URL is called."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo

from benchmarks import full_disk
from lake.connection import Lake
from orchestration.alerts.apprise_channel import AppriseChannel
from orchestration.alerts.delivery import deliver
from orchestration.alerts.health import HealthLimits
from orchestration.alerts.log_channel import LogChannel
from orchestration.alerts.outbox import raise_alert
from orchestration.alerts.store import Outbox
from orchestration.alerts.watchdog import MEMORY_FILE, watch
from orchestration.home import open_instance, prepare_home
from orchestration.settings import load_settings
from serving.api.keys import keys_folder
from serving.metrics.request_log import FILE, RequestLog, Server

NOW = datetime.fromisoformat("2026-03-01T12:00:00")
MINUTE = timedelta(minutes=1)
# The disk of the machine that runs the tests is not what is tested.
LIMITS = HealthLimits(free_share=0.0, free_bytes=0)


class Guarded:
    """A home with a lake and an instance, with made-up heartbeats, ticks and runs, and its watchdog."""

    def __init__(self, folder, monkeypatch, **settings):
        monkeypatch.setenv("DAGSTER_HOME", str(folder / "dagster"))
        self.settings = load_settings(home=folder, **settings)
        prepare_home(self.settings)
        Lake(self.settings.lake_config()).snapshot_id()
        self.log = LogChannel(folder / "alerts.log")

    def instance(self):
        return open_instance(self.settings)

    def beat(self, at):
        with self.instance() as instance:
            for name in instance.get_required_daemon_types():
                instance.add_daemon_heartbeat(
                    DaemonHeartbeat(at.replace(tzinfo=UTC).timestamp(), name, "d", [])
                )

    def tick(self, name, at, status=TickStatus.SKIPPED, cron=None):
        """One tick of a sensor (or, with a cron line, a schedule) that is switched on in the code."""
        target = LoadableTargetOrigin(python_file="code.py")
        origin = RemoteInstigatorOrigin(
            RemoteRepositoryOrigin(InProcessCodeLocationOrigin(target), "repository"), name
        )
        when = at.replace(tzinfo=UTC).timestamp()
        kind = InstigatorType.SENSOR if cron is None else InstigatorType.SCHEDULE
        data = SensorInstigatorData(min_interval=60) if cron is None else ScheduleInstigatorData(cron, when)
        state = InstigatorState(origin, kind, InstigatorStatus.DECLARED_IN_CODE, data)
        error = SerializableErrorInfo("it broke", [], "Error") if status is TickStatus.FAILURE else None
        with self.instance() as instance:
            if instance.get_instigator_state(origin.get_id(), origin.get_selector().get_id()) is None:
                instance.add_instigator_state(state)
            instance.create_tick(
                TickData(
                    instigator_origin_id=origin.get_id(),
                    instigator_name=name,
                    instigator_type=kind,
                    status=status,
                    timestamp=when,
                    selector_id=state.selector_id,
                    error=error,
                )
            )

    def found(self, now=NOW, channels=(), **options):
        result = watch(self.settings, [self.log, *channels], now, limits=LIMITS, **options)
        return SimpleNamespace(keys=[alert.key for alert in result.alerts], result=result)

    def messages(self):
        return self.log.path.read_text().splitlines() if self.log.path.exists() else []


@pytest.fixture
def guarded(tmp_path, monkeypatch):
    return Guarded(tmp_path / "home", monkeypatch)


@pytest.fixture
def answered(tmp_path):
    """Writes the request log of the home as an API does: minutes from NOW on in which it answered."""
    log = RequestLog(keys_folder(tmp_path / "home") / FILE)

    def write(address, minutes, *, stopped=False):
        at = [int(NOW.replace(tzinfo=UTC).timestamp()) + 60 * minute for minute in minutes]
        server = Server(f"{address} {at[0]}", address, float(at[0]))
        log.begin(server)
        for minute in at:
            log.add(server, 1, minute, {})
        if stopped:
            log.stop(server, at[-1] + 60.0)

    return write


def test_a_home_without_schedules_is_well_without_a_daemon(guarded):
    assert guarded.found().keys == []
    assert guarded.messages() == []


def test_a_stopped_daemon_alerts_once_and_recovers_once(guarded):
    guarded.beat(NOW)
    assert guarded.found(expect_daemon=True).keys == []
    for minute in (10, 15):
        assert guarded.found(NOW + minute * MINUTE, expect_daemon=True).keys == ["watchdog/daemon"]
    guarded.beat(NOW + 40 * MINUTE)
    for minute in (40, 41):
        assert guarded.found(NOW + minute * MINUTE, expect_daemon=True).keys == []
    kinds = ["resolved" if '"kind": "resolved"' in line else "opened" for line in guarded.messages()]
    assert kinds == ["opened", "resolved"]


def test_sensors_and_schedules_that_stopped_or_fail_are_named(guarded):
    guarded.tick("deliver_alerts", NOW - MINUTE)
    guarded.tick("stopped", NOW - 60 * MINUTE)
    guarded.tick("removed_from_the_code", NOW - timedelta(days=3))
    for minute in (3, 2, 1):
        guarded.tick("failing", NOW - minute * MINUTE, TickStatus.FAILURE)
    guarded.tick("hourly", NOW - 50 * MINUTE, cron="7 * * * *")
    guarded.tick("missed", NOW - 110 * MINUTE, cron="7 * * * *")
    Outbox.of(guarded.settings.home_path).remember_automations(
        ["deliver_alerts", "stopped", "failing", "hourly", "missed"]
    )
    guarded.beat(NOW)
    found = guarded.found()
    assert sorted(found.keys) == [
        "watchdog/automation/failing",
        "watchdog/automation/missed",
        "watchdog/automation/stopped",
    ]
    assert "it broke" in next(a.body for a in found.result.alerts if a.key.endswith("failing"))
    assert len(guarded.messages()) == 1, "one message for the three"

    assert guarded.found(NOW + 10 * MINUTE).keys == ["watchdog/daemon"], (
        "the stopped daemon explains the others"
    )


def test_a_stuck_run_alerts(guarded):
    with guarded.instance() as instance:
        run = instance.create_run_for_job(
            dg.job(name="everything")(lambda: None), status=dg.DagsterRunStatus.STARTED
        )
    soon = datetime.now(UTC).replace(tzinfo=None)
    assert guarded.found(soon).keys == []
    assert guarded.found(soon + timedelta(hours=4)).keys == [f"watchdog/run/{run.run_id}"]


def test_an_endpoint_that_takes_nothing_alerts_at_the_others(guarded, endpoint, alert):
    endpoint.status = 500
    channel = AppriseChannel(endpoint.url)
    raise_alert(Outbox.of(guarded.settings.home_path), alert(), NOW)
    assert guarded.found(NOW, [channel]).keys == []
    assert guarded.found(NOW + 20 * MINUTE, [channel]).keys == [f"watchdog/delivery/{channel.endpoint}"]
    assert any("Alerts do not reach JSON 127.0.0.1" in line for line in guarded.messages())
    endpoint.status = 200
    deliver(Outbox.of(guarded.settings.home_path), [channel], NOW + 40 * MINUTE)
    assert guarded.found(NOW + 41 * MINUTE, [channel]).keys == []
    assert endpoint.titles() == ["[PAGE] slo/raw_sales_fresh is burning"]


def test_a_lake_that_cannot_be_read_alerts(guarded):
    catalog = guarded.settings.lake_config().catalog_path
    for file in catalog.parent.glob(catalog.name + "*"):
        file.unlink()
    catalog.write_bytes(b"not a catalog " * 1000)
    assert guarded.found().keys == ["watchdog/lake"]
    catalog.unlink()
    assert guarded.found().keys == ["watchdog/lake"]
    assert not catalog.exists(), "the watchdog makes no lake where there was one"


def test_an_api_that_crashed_alerts_until_it_answers_again(guarded, answered):
    answered("127.0.0.1:8000", range(-60, -1))
    answered("127.0.0.1:9000", range(-60, -1))
    assert guarded.found().keys == []
    answered("127.0.0.1:9000", range(-1, 30))
    assert guarded.found(NOW + 2 * MINUTE).keys == [], "two minutes without an answer can be a restart"
    found = guarded.found(NOW + 3 * MINUTE)
    assert found.keys == ["watchdog/api"]
    assert "127.0.0.1:8000" in found.result.alerts[0].body
    assert "9000" not in found.result.alerts[0].body
    answered("127.0.0.1:8000", range(5, 10))
    assert guarded.found(NOW + 8 * MINUTE).keys == []
    assert len(guarded.messages()) == 2, "one when it was found, one when it was well again"


def test_an_api_that_was_stopped_or_never_started_alerts_only_where_it_is_expected(
    tmp_path, monkeypatch, answered
):
    not_expected = Guarded(tmp_path / "home", monkeypatch)
    expected = Guarded(tmp_path / "home", monkeypatch, api_expected=True)
    assert not_expected.found().keys == []
    never = expected.found()
    assert never.keys == ["watchdog/api"]
    assert "ever answered" in never.result.alerts[0].body
    answered("127.0.0.1:8000", range(-60, -10), stopped=True)
    assert not_expected.found().keys == []
    assert expected.found().keys == ["watchdog/api"]


def test_a_damaged_request_log_alerts_and_the_round_goes_on(guarded, answered):
    answered("127.0.0.1:8000", range(-60, -1))
    next(guarded.settings.home_path.rglob("requests.sqlite")).write_bytes(b"no database" * 100)
    guarded.beat(NOW - timedelta(hours=1))
    assert guarded.found(expect_daemon=True).keys == [
        "watchdog/api",
        "watchdog/daemon",
        "watchdog/database/api/requests.sqlite",
    ]


def test_a_full_disk_alerts(guarded):
    full = HealthLimits(free_share=1.01)
    result = watch(guarded.settings, [guarded.log], NOW, limits=full)
    assert [alert.key for alert in result.alerts] == ["watchdog/disk"]


def test_a_broken_outbox_is_sent_directly_and_not_at_every_round(guarded, endpoint):
    channel = AppriseChannel(endpoint.url)
    path = guarded.settings.home_path / "alerts.db"
    path.write_bytes(b"not a database " * 1000)
    for minute in (0, 5, 55):
        assert guarded.found(NOW + minute * MINUTE, [channel]).keys == ["watchdog/outbox"]
    path.unlink()
    for minute in (60, 65):
        assert guarded.found(NOW + minute * MINUTE, [channel]).keys == []
    assert endpoint.titles() == [
        "[PAGE] The alert outbox is broken: no alert can be kept",
        "[RESOLVED] The alert outbox is broken: no alert can be kept",
    ]
    assert len(guarded.messages()) == 2


def test_the_dead_man_url_is_called_only_when_all_is_well(tmp_path, monkeypatch):
    calls = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            calls.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/ping"
    guarded = Guarded(tmp_path / "home", monkeypatch, deadman_url=url)
    assert guarded.found(expect_daemon=True).result.pinged is None
    assert calls == []
    assert guarded.found(expect_daemon=False).result.pinged is True
    assert calls == ["/ping"]
    server.shutdown()
    server.server_close()
    assert guarded.found(expect_daemon=False).result.pinged is False


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 40 MB, as root can make one."""
    try:
        with full_disk.small_disk(tmp_path / "disk", megabytes=40) as disk:
            yield disk
    except PermissionError as error:
        pytest.skip(f"A small disk is needed: {error}.")


def test_a_full_disk_is_sent_as_one_and_once_and_nothing_else_is(small_disk, monkeypatch, endpoint):
    guarded = Guarded(small_disk / "home", monkeypatch)
    channel = AppriseChannel(endpoint.url)
    full_disk.fill(small_disk, 0)
    (guarded.settings.home_path / "alerts.db").unlink(missing_ok=True)
    for minute in (0, 5, 10):
        found = watch(guarded.settings, [channel], NOW + minute * MINUTE)
        assert "watchdog/disk" in [alert.key for alert in found.alerts]
        assert "watchdog/outbox" not in [alert.key for alert in found.alerts]
    full_disk.empty(small_disk)
    assert guarded.found(NOW + 15 * MINUTE, [channel]).keys == []
    assert endpoint.titles() == [
        "[PAGE] The disk of the home is nearly full",
        "[RESOLVED] The disk of the home is nearly full",
    ]


@pytest.mark.parametrize(
    "memory", ["{}", "[]", '{"since": "x"}', '{"since": "x", "sent_at": {}, "about": {"no": 1}}']
)
def test_a_memory_that_is_none_does_not_end_the_watchdog(guarded, endpoint, memory):
    home = guarded.settings.home_path
    (home / "alerts.db").write_bytes(b"not a database " * 1000)
    (home / MEMORY_FILE).write_text(memory)
    assert guarded.found(NOW, [AppriseChannel(endpoint.url)]).keys == ["watchdog/outbox"]
    assert endpoint.titles() == ["[PAGE] The alert outbox is broken: no alert can be kept"]


def test_a_damaged_history_of_runs_is_a_page_that_names_the_file(guarded):
    with guarded.instance() as instance:
        instance.get_runs(limit=1)
    index = guarded.settings.home_path / "dagster" / "history" / "runs" / "index.db"
    content = bytearray(index.read_bytes())
    content[100:4000] = b"x" * 3900
    index.write_bytes(content)
    for beside in index.parent.glob("index.db-*"):
        beside.unlink()
    found = guarded.found(NOW)
    assert found.keys == ["watchdog/database/dagster/history/runs/index.db"]
    assert "found a damaged file" in found.result.alerts[0].body
