"""The asset `published_estimates`: a version for what is new, and none for a run that found nothing new."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from orchestration.alerts.outbox import Alert, raise_alert
from orchestration.alerts.store import Outbox
from orchestration.definitions import build_defs
from orchestration.settings import load_settings
from orchestration.states import Severity
from serving.store import files
from serving.store.documents import OPERATIONS
from serving.store.sqlite.store import SqliteStore
from tests.unit.serving.market import SMALL, Market


def test_a_version_is_made_for_what_is_new_and_not_for_the_run_itself(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.open(SMALL)
    job = build_defs(load_settings(home=tmp_path)).resolve_job_def("publish")
    outbox = Outbox.of(tmp_path)
    for severity in (Severity.INFO, Severity.TICKET, Severity.PAGE):
        about = Alert(f"test/{severity}", severity, severity, "body", "run-failed", "assay status")
        raise_alert(outbox, about, datetime(2026, 1, 1, tzinfo=UTC))
    store = SqliteStore(tmp_path / files.FOLDER, look_s=0.0)
    made, runs = [], []
    with dg.DagsterInstance.ephemeral() as instance:
        for change in (
            None,
            None,
            "update predictions.token_estimates set estimate_eth = estimate_eth * 2 where collection = 'Apes'",
            None,
        ):
            if change:
                market.change(change)
            assert job.execute_in_process(instance=instance).success
            edition = store.current()
            made.append(edition.pointer.version)
            operations = json.loads(edition.document(OPERATIONS) or b"")
            runs.append(len(operations["runs"]))
            assert [one["title"] for one in operations["alerts"]["open"]] == list(Severity)
    assert made[0] == made[1] < made[2] == made[3]
    # The list is that of before the version was made: two runs had ended then.
    assert runs == [0, 0, 2, 2]
