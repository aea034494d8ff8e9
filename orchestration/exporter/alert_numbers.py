"""What the outbox says about alerts, as metrics. Here: reading it without a lock. Not here: alerting."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from lake.storage import sql_list
from orchestration.alerts.store import BUSY_TIMEOUT_S, OPEN_BY_SEVERITY, OUTBOX_FILE
from orchestration.states import UNDELIVERED, DeliveryState, Severity
from serving.metrics.families import gauges

if TYPE_CHECKING:
    from prometheus_client.core import Metric


def alert_numbers(home: Path) -> list[Metric]:
    """Open incidents by severity, and messages that have not arrived; nothing before the first alert.

    Raises:
        sqlite3.Error: The outbox cannot be read.
    """
    path = home / OUTBOX_FILE
    if not path.exists():
        return []
    # Not by `Outbox.rows`: that is a write transaction, and whoever reads must not make a writer wait.
    with closing(
        sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
    ) as con:
        opened = dict(con.execute(OPEN_BY_SEVERITY).fetchall())
        deliveries = dict(
            con.execute(
                f"select case when state in {sql_list(UNDELIVERED)} then 'waiting' else 'given_up' end as s, count(*)"
                f" from deliveries where state in {sql_list((*UNDELIVERED, DeliveryState.DEAD))} group by s"
            ).fetchall()
        )
    return [
        gauges(
            "assay_open_incidents",
            "Open incidents by severity.",
            ["severity"],
            [((severity,), opened.get(severity, 0)) for severity in Severity],
        ),
        gauges(
            "assay_undelivered_messages",
            "Messages about incidents that have not arrived: waiting, or given up.",
            ["state"],
            [((state,), deliveries.get(state, 0)) for state in ("waiting", "given_up")],
        ),
    ]
