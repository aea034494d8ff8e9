"""A monitoring step that fails stops no other step's alerts: its own incidents stay as they were, theirs are opened."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestration.alerts.store import Outbox
from orchestration.clock import SetClock
from orchestration.definitions import open_location
from orchestration.errors import StageFailedError
from orchestration.home import open_instance, prepare_home
from orchestration.reliability.drills.endpoint import receiving
from orchestration.reliability.drills.market import (
    FAULT_DAY,
    SEED,
    build_market,
    drill_settings,
    scratch_home,
)
from orchestration.reliability.drills.passes import incidents, tick
from orchestration.resources import Assay
from orchestration.runs.main_job import run_job
from tests.homes import drill_markets

pytestmark = pytest.mark.slow


def test_while_drift_fails_a_service_level_pages_and_is_sent_once(tmp_path_factory, tmp_path):
    home = tmp_path / "home"
    scratch_home(build_market(drill_markets(tmp_path_factory)), home, SEED, "")
    with receiving() as receiver:
        # Three days later, and nothing was ingested.
        settings = drill_settings(home, days=FAULT_DAY + 3, alert_urls=receiver.url)
        prepare_home(settings)
        assay = Assay(settings)
        with assay.lake.write("drift cannot keep its scores") as con:
            con.execute("alter table monitoring.drift_scores drop column psi")
        clock = SetClock(assay.as_of)
        location = open_location(settings, clock)
        with open_instance(settings) as instance:
            for _ in range(2):
                with pytest.raises(StageFailedError, match="drift_scores"):
                    run_job(location, instance, "monitor")
                clock.forward(timedelta(minutes=1))
                tick(location, instance, "deliver_alerts")
        pages = [m for m in receiver.messages if "slo/sales_arrive" in m.keys and m.kind == "opened"]
        assert [page.severity for page in pages] == ["page"]
    opened = {incident.key for incident in incidents(Outbox.of(home)) if incident.resolved_at is None}
    assert "slo/sales_arrive" in opened
    assert not {key for key in opened if key.startswith("drift/")}
