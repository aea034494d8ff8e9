"""Model files that are lost, as incidents: found before each training and in each monitoring pass.

Here: reading the state and opening incidents. Not here: which files those are (`ml.registry.lost_files`), fitting them
again (the training that follows).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.registry.lost_files import BOOSTER, LostFile, lost_files
from ml.text.visible import visible
from orchestration.alerts.keys import incident_key
from orchestration.states import Severity

if TYPE_CHECKING:
    from orchestration.alerts.outbox import Alert
    from orchestration.resources import Assay

SCOPE = "file"
"""The scope to synchronise these alerts under."""


def find_lost_files(assay: Assay) -> list[LostFile]:
    """What is lost now. Its incidents are opened, and those of what was fitted again since are resolved."""
    from orchestration.alerts.outbox import sync_alerts
    from orchestration.alerts.store import Outbox

    with assay.lake.read() as con:
        lost = lost_files(con, assay.registry.artifacts)
    outbox = Outbox.of(assay.settings.home_path)
    sync_alerts(outbox, SCOPE, [_alert(file) for file in lost], assay.clock.now())
    return lost


def _alert(file: LostFile) -> Alert:
    from orchestration.alerts.outbox import Alert

    meanwhile = (
        "Until then the next tier is used" if file.in_force else "It is needed to predict past sales again"
    )
    return Alert(
        key=incident_key(SCOPE, f"{file.role}/{file.owner}/{file.model}"),
        severity=Severity.PAGE if file.in_force and file.role != BOOSTER else Severity.TICKET,
        title=f"The {file.role} of {visible(file.owner)} ({visible(file.model)}) is lost",
        body=f"{file.problem}. {meanwhile}.",
        runbook="model-file-lost",
        command="assay run",
        group="model files are lost",
    )
