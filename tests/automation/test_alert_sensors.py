"""Ticks of the alert sensors on a real instance: a failed run or check alerts once, until it succeeds again."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from orchestration.alerts.sensors import build_alert_sensors
from orchestration.alerts.store import Outbox
from orchestration.checks.factory import guidance
from orchestration.resources import Assay
from orchestration.settings import load_settings
from orchestration.states import CheckSeverity


class Trouble(dg.ConfigurableResource):
    """The test's job fails while a file exists, as its code is loaded once."""

    path: str

    @property
    def is_on(self) -> bool:
        return Path(self.path).exists()


@dg.asset
def estimates(trouble: Trouble) -> None:
    if trouble.is_on:
        raise dg.Failure("no space left")


@dg.asset_check(asset=estimates, name="quarantine_rate")
def quarantine_rate(trouble: Trouble) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not trouble.is_on, severity=dg.AssetCheckSeverity.WARN, metadata={"share": 0.31}
    )


@dg.asset_check(asset=estimates)
def prices_plausible(trouble: Trouble) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not trouble.is_on, metadata=guidance(CheckSeverity.ERROR, "assay why c0", "prices-implausible")
    )


@dg.asset
def slo_status() -> None:
    """Its checks are the service levels, which have alerts of their own: the tests below expect none of theirs."""


@dg.asset_check(asset=slo_status)
def sales_arrive(trouble: Trouble) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not trouble.is_on)


build = dg.define_asset_job("build_it", dg.AssetSelection.assets(estimates).without_checks())
judge = dg.define_asset_job("judge_it", dg.AssetSelection.all_asset_checks())


class HomeWithSensors:
    """A code location with the sensors, its instance, and a daemon that ticks on request."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.folder, self.instance, self.cursors = folder, instance, dict[str, str | None]()
        self.trouble = folder / "trouble"
        self.assay = Assay(load_settings(home=folder))
        self.defs = dg.Definitions(
            assets=[estimates, slo_status],
            asset_checks=[quarantine_rate, prices_plausible, sales_arrive],
            jobs=[build, judge],
            sensors=build_alert_sensors(enabled=True),
            resources={"assay": self.assay, "trouble": Trouble(path=str(self.trouble))},
        )
        self.repository = self.defs.get_repository_def()

    def run(self, job: str) -> None:
        self.defs.resolve_job_def(job).execute_in_process(instance=self.instance, raise_on_error=False)

    def tick(self, *names: str) -> None:
        for name in names or (
            "alert_failed_checks",
            "alert_failed_runs",
            "resolve_failed_runs",
            "deliver_alerts",
        ):
            with dg.build_sensor_context(
                instance=self.instance,
                repository_def=self.repository,
                cursor=self.cursors.get(name),
                resources={"assay": self.assay},
            ) as context:
                self.repository.get_sensor_def(name).evaluate_tick(context)
                self.cursors[name] = context.cursor

    def messages(self) -> list[tuple[str, str]]:
        log = self.folder / "alerts.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(line["kind"], line["title"]) for line in map(json.loads, lines)]


@pytest.fixture
def home(tmp_path):
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(
        str(tmp_path / "dagster"), overrides={"telemetry": {"enabled": False}}
    ) as instance:
        built = HomeWithSensors(tmp_path, instance)
        built.tick()
        yield built


def test_a_failed_run_is_open_until_a_run_of_its_job_succeeds(home):
    home.trouble.touch()
    home.run("build_it")
    home.tick()
    home.run("build_it")
    home.tick()
    assert home.messages() == [("opened", "The job build_it failed")]

    home.trouble.unlink()
    home.run("build_it")
    home.tick()
    home.tick()
    assert home.messages()[1:] == [("resolved", "The job build_it failed")]


def test_sensors_that_tick_late_and_in_the_wrong_order_end_with_the_current_state(home):
    home.run("build_it")
    home.trouble.touch()
    home.run("build_it")
    home.tick("alert_failed_runs", "resolve_failed_runs", "deliver_alerts")
    assert home.messages() == [("opened", "The job build_it failed")], "the older success resolves nothing"

    home.trouble.unlink()
    home.run("build_it")
    home.trouble.touch()
    home.run("judge_it")
    home.tick("resolve_failed_runs", "alert_failed_runs", "deliver_alerts")
    assert home.messages()[1:] == [("resolved", "The job build_it failed")]


def test_failed_checks_are_one_message_and_keep_their_guidance(home):
    home.run("build_it")
    home.trouble.touch()
    home.run("judge_it")
    home.tick()
    home.run("judge_it")
    home.tick()
    assert home.messages() == [("opened", "2 checks failed")]
    incidents = Outbox.of(home.folder).rows(
        "select key, severity, runbook, command, body from incidents order by key"
    )
    assert [tuple(row) for row in incidents] == [
        ("check/estimates/prices_plausible", "ticket", "prices-implausible", "assay why c0", "No details."),
        ("check/estimates/quarantine_rate", "info", "check-failed", "assay run", "share: 0.31"),
    ]
    home.trouble.unlink()
    home.run("judge_it")
    home.tick()
    assert home.messages()[1:] == [("resolved", "2 checks failed")]


def test_the_sensors_are_off_until_enabled():
    for sensor in build_alert_sensors(enabled=False):
        assert sensor.default_status is dg.DefaultSensorStatus.STOPPED


def test_delivery_stores_the_names_of_sensors_and_schedules_for_the_watchdog(home):
    names = {row["name"] for row in Outbox.of(home.folder).rows("select name from automations")}
    assert "deliver_alerts" in names
