"""The asset on a small home: scores in the lake, a page about what drifted, alerts in one group, and nothing twice."""

from __future__ import annotations

import subprocess
from datetime import timedelta

import dagster as dg
import pandas as pd
import pytest

from orchestration.alerts.outbox import sync_alerts
from orchestration.alerts.store import Outbox
from orchestration.checks.definition import CheckContext
from orchestration.checks.factory import judge, result_of
from orchestration.home import prepare_home
from orchestration.monitoring.checks import DRIFT
from orchestration.monitoring.drift import SCOPE, drift_alerts
from orchestration.monitoring.drift_assets import drift_scores
from orchestration.resources import Assay
from orchestration.settings import load_settings
from tests.unit.ml.drift.market import NOW, sales

# A home, and the asset with its pages: 3 to 8 s of CPU each.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def assay(tmp_path_factory):
    """A lake in which the target of two collections of three has moved, and one champion was trained on it."""
    settings = load_settings(home=tmp_path_factory.mktemp("home"), collections=2, days=60)
    prepare_home(settings)
    assay = Assay(settings)
    ago = assay.as_of - NOW
    with assay.lake.write("features for a test") as con:
        for i, name in enumerate(("moved/1", "moved/2", "calm")):
            frame = sales(name, n=300, seed=i)
            frame["known_at"] += ago
            if name != "calm":
                frame.loc[240:, "target_log"] += 5
            con.register("frame", frame)
            new = (
                "create or replace table features.sale_features as"
                if i == 0
                else "insert into features.sale_features by name"
            )
            con.execute(f"{new} select * from frame")
            con.unregister("frame")
        con.execute("create or replace table marts.dim_collections as"
                    " select distinct collection, 'ethereum' as chain from features.sale_features")  # fmt: skip
        con.execute("create or replace table ops.champions as"
                    " select 'moved/2' as collection, $1::timestamp as trained_until",
                    [assay.as_of])  # fmt: skip
    return assay


@pytest.fixture(scope="module")
def materialized(assay):
    return dg.materialize([drift_scores], resources={"assay": assay})


def _metadata(result):
    return result.asset_materializations_for_node("drift_scores")[0].metadata


def test_the_asset_reports_what_drifted_and_links_a_page(assay, materialized):
    metadata = _metadata(materialized)
    assert metadata["collections_drifted"].value == 2
    assert metadata["tests"].value > 150
    pages = {name: value.value for name, value in metadata.items() if name.startswith("report ")}
    assert set(pages) == {"report moved/1", "report moved/2"}
    folder = assay.settings.home_path / "reports" / "drift"
    found = sorted(str(page) for page in folder.rglob("*.html"))
    assert sorted(pages.values()) == found, "a page per drifted collection, one folder deep for any name"
    assert all("target_gap" in page.read_text(encoding="utf-8") for page in folder.rglob("*.html"))


def test_the_check_warns_when_drift_is_widespread(assay, materialized):
    (check,) = DRIFT
    with assay.lake.read() as con:
        result = result_of(check, judge(check, CheckContext(con, assay.as_of)))
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "2 of 3 tested collections drifted" in result.description


def test_a_drifted_collection_alerts_until_its_champion_has_learnt_it(assay, materialized, tmp_path):
    assert materialized.success
    with assay.lake.read() as con:
        alerts = drift_alerts(con)
    assert [alert.key for alert in alerts] == ["drift/moved/1"]
    assert "target_gap (prior)" in alerts[0].title
    opened = sync_alerts(Outbox.of(tmp_path), SCOPE, alerts, NOW)
    assert opened.opened == ("drift/moved/1",)


def test_a_second_pass_scores_and_draws_nothing_again(assay, materialized):
    page = next((assay.settings.home_path / "reports" / "drift").rglob("*.html"))
    drawn = page.stat().st_mtime_ns
    with assay.lake.read() as con:
        before = con.execute("select count(*) from monitoring.drift_scores").fetchone()
    again = _metadata(dg.materialize([drift_scores], resources={"assay": assay}))
    with assay.lake.read() as con:
        assert con.execute("select count(*) from monitoring.drift_scores").fetchone() == before
    assert (again["windows_scored"].value, again["collections_drifted"].value) == (0, 2)
    assert page.stat().st_mtime_ns == drawn


def test_pages_past_their_retention_are_removed(assay, materialized):
    from ml.drift.reports import forget_reports

    folder = assay.settings.home_path / "reports" / "drift"
    assert forget_reports(folder, assay.as_of - timedelta(days=30)) == 0
    assert forget_reports(folder, assay.as_of + timedelta(days=1)) == 2
    assert list(folder.iterdir()) == []


def test_a_page_that_fails_is_reported_and_does_not_fail_the_asset(assay, materialized):
    from ml.drift.reports import report_path

    folder = assay.settings.home_path / "reports" / "drift"
    with assay.lake.read() as con:
        (end,) = con.execute(
            "select window_end from monitoring.drift_status where collection = 'moved/1'"
        ).fetchone()
    blocked = report_path(folder, "moved/1", end).parent
    assert not blocked.exists()
    blocked.write_text("a file where the folder should be")
    result = dg.materialize([drift_scores], resources={"assay": assay})
    metadata = _metadata(result)
    assert result.success
    assert "FileExistsError" in metadata["report moved/1"].value
    assert metadata["report moved/2"].value.endswith(".html")


def test_any_name_has_a_page_and_an_alert_whose_command_can_be_pasted(tmp_path):
    hostile = sorted(
        ("../../etc/passwd", "<script>alert(1)</script>", "long " + "ж" * 148, "esc \x1b[2J\n$(pwd)")
    )
    settings = load_settings(home=tmp_path / "home", collections=2, days=60)
    prepare_home(settings)
    assay = Assay(settings)
    frames = []
    for i, name in enumerate(hostile):
        frame = sales(name, n=200, seed=i)
        frame["known_at"] += assay.as_of - NOW
        frame.loc[140:, "target_log"] += 5
        frames.append(frame)
    with assay.lake.write("features for a test") as con:
        con.register("frame", pd.concat(frames))
        con.execute("create or replace table features.sale_features as select * from frame")
        con.execute("create or replace table marts.dim_collections as"
                    " select distinct collection, 'ethereum' as chain from features.sale_features")  # fmt: skip
    metadata = _metadata(dg.materialize([drift_scores], resources={"assay": assay}))
    pages = list((settings.home_path / "reports" / "drift").glob("*/*.html"))
    assert {str(page) for page in pages} == {v.value for k, v in metadata.items() if k.startswith("report ")}
    assert len(pages) == len(hostile)
    for page in pages:
        assert len(page.parent.name.encode()) <= 100
        text = page.read_text(encoding="utf-8")
        assert "<script>alert(1)" not in text
        assert "\x1b" not in text
    with assay.lake.read() as con:
        alerts = drift_alerts(con)
    shell = "assay() { printf '%s\\0' \"$@\"; }; "
    meant = [
        subprocess.run(["bash", "-c", shell + alert.command], capture_output=True, check=True).stdout.decode()
        for alert in alerts
    ]
    assert [words.split("\0")[1] for words in meant] == hostile
