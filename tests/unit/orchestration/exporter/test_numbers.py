"""The exporter shows what the pipeline has stored, also when it can read nothing more, and never waits for a writer."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from lake.connection import Lake
from orchestration.alerts.outbox import Alert, raise_alert
from orchestration.alerts.store import Outbox
from orchestration.exporter.reader import HomeCollector, Part, parts_of
from orchestration.settings import Settings, load_settings
from orchestration.states import Severity, SloState
from tests.unit.serving.market import NOW

Found = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(collector: HomeCollector) -> Callable[..., float | None]:
    registry = CollectorRegistry()
    registry.register(collector)
    found = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }

    def value(name: str, **labels: str) -> float | None:
        return found.get((name, frozenset(labels.items())))

    value.all = found  # type: ignore[attr-defined]
    return value


@pytest.fixture(scope="module")
def shown(home: Settings) -> Callable[..., float | None]:
    collector = HomeCollector(parts_of(home))
    collector.refresh()
    return read(collector)


@pytest.fixture(scope="module")
def stored(home: Settings) -> Callable[[str], list[tuple]]:
    def query(sql: str) -> list[tuple]:
        with Lake(home.lake_config()).read() as con:
            return con.execute(sql).fetchall()

    return query


def test_every_part_is_read(shown: Callable[..., float | None]) -> None:
    assert [shown("assay_home_readable", part=part) for part in ("lake", "runs", "alerts")] == [1, 1, 1]
    assert shown("assay_home_age_seconds", part="lake") < 60


def test_arrivals_are_those_of_the_log_of_ingestion(shown: Callable[..., float | None]) -> None:
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC).timestamp()
    day = {"source": "chain", "table": "sales"}
    assert shown("assay_ingested_rows", **day) == 100
    assert shown("assay_refused_rows", **day) == 3
    assert shown("assay_quarantine_open_rows", **day) == 1
    assert shown("assay_source_newest_day_timestamp_seconds", **day) == midnight
    assert shown("assay_source_readable", source="chain") == 1
    assert shown("assay_source_readable", source='odd "name"') == 0
    assert shown("assay_source_watermark_timestamp_seconds", source='odd "name"') is None


def test_service_levels_are_those_of_the_last_evaluation(
    shown: Callable[..., float | None], stored: Callable[[str], list[tuple]]
) -> None:
    rows = stored("select slo, state, objective, sli, budget_left, burn_3d from monitoring.slo_status")
    assert {state for _, state, *_ in rows} >= {"ok", "no_data"}
    for slo, state, objective, sli, left, burn in rows:
        shown_state = shown("assay_service_level_state", slo=slo)
        assert shown_state is not None
        assert list(SloState)[int(shown_state)] == state
        assert shown("assay_service_level_objective_ratio", slo=slo) == objective
        assert shown("assay_service_level_good_ratio", slo=slo) == sli
        assert shown("assay_service_level_budget_left_ratio", slo=slo) == left
        assert shown("assay_service_level_burn_rate", slo=slo, window="3d") == burn
    samples = dict(stored("select slo, coalesce(value, sli) from monitoring.slo_samples"))
    assert shown("assay_online_mdape_ratio") == samples["online_mdape"] == pytest.approx(0.1)
    assert shown("assay_interval_coverage_ratio") == samples["interval_coverage"] == pytest.approx(0.75)
    assert shown("assay_estimate_coverage_ratio") == samples["estimate_coverage"]
    assert shown("assay_table_lag_seconds", layer="estimates") == 3600 * samples["estimates_fresh"]


def test_models_and_the_queue(shown: Callable[..., float | None]) -> None:
    assert shown("assay_drift_collections", state="drifted") == 1
    assert shown("assay_drift_share_ratio") == 0.5
    assert shown("assay_retrain_queue_collections", state="queued") == 1
    assert shown("assay_training_failed_collections") == 1
    assert shown("assay_lake_snapshot") > 0


def test_no_label_is_a_collection_or_a_name_from_the_market(shown: Callable[..., float | None]) -> None:
    names = {value for _, labels in shown.all for _, value in labels}  # type: ignore[attr-defined]
    assert "chain" in names
    assert not {"Apes", "a/b", "made by anybody"} & names


def test_a_home_that_is_gone_keeps_its_last_numbers_and_shows_their_age(
    home: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(home.home_path, tmp_path / "home")
    now = [1000.0]
    collector = HomeCollector(parts_of(load_settings(home=tmp_path / "home")), lambda: now[0])
    collector.refresh()
    shutil.rmtree(tmp_path / "home" / "lake")
    now[0] += 600
    with caplog.at_level(logging.ERROR, "assay.metrics"):
        collector.refresh()
        collector.refresh()
    found = read(collector)
    assert found("assay_home_readable", part="lake") == 0
    assert found("assay_home_age_seconds", part="lake") == 600
    assert found("assay_home_age_seconds", part="runs") == 0
    assert found("assay_online_mdape_ratio") == pytest.approx(0.1)
    assert caplog.text.count("lake cannot be read") == 1
    assert not (tmp_path / "home" / "lake").exists(), "reading must not make a lake"


def test_before_anything_was_read_nothing_is_readable() -> None:
    found = read(HomeCollector({"lake": Part(list)}))
    assert found("assay_home_readable", part="lake") == 0
    assert found("assay_home_age_seconds", part="lake") is None


def test_a_writer_and_the_exporter_do_not_wait_for_each_other(home: Settings, tmp_path: Path) -> None:
    """Both locks are held while it reads; the reading would hang or fail if it needed one."""
    shutil.copytree(home.home_path, tmp_path / "home")
    settings = load_settings(home=tmp_path / "home")
    outbox = Outbox.of(tmp_path / "home")
    raise_alert(outbox, Alert("slo/x", Severity.PAGE, "title", "body", "drift", "assay status"), NOW)
    collector = HomeCollector(parts_of(settings))
    with Lake(settings.lake_config()).write("hold the lock") as con:
        con.execute("update ops.retrain_queue set state = 'done'")
        with outbox.transaction() as held:
            held.execute("delete from incidents")
            thread = threading.Thread(target=collector.refresh)
            thread.start()
            thread.join(60)
            assert not thread.is_alive()
            held.execute("rollback")
            held.execute("begin")
    found = read(collector)
    assert found("assay_home_readable", part="lake") == found("assay_home_readable", part="alerts") == 1
    assert found("assay_retrain_queue_collections", state="queued") == 1, "what was committed before"
    assert found("assay_open_incidents", severity="page") == 1
    assert found("assay_undelivered_messages", state="waiting") == 0


def test_a_damaged_outbox_is_a_part_that_cannot_be_read(home: Settings, tmp_path: Path) -> None:
    shutil.copytree(home.home_path, tmp_path / "home")
    (tmp_path / "home" / "alerts.db").write_bytes(b"no database" * 1000)
    collector = HomeCollector(parts_of(load_settings(home=tmp_path / "home")))
    collector.refresh()
    found = read(collector)
    assert (found("assay_home_readable", part="alerts"), found("assay_home_readable", part="lake")) == (0, 1)
    assert (tmp_path / "home" / "alerts.db").read_bytes() == b"no database" * 1000
