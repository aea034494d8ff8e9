"""Collections that were set aside as incidents: which one, which value, and that the others went on.

Here: reading the records. Not here: who is set aside (`ml.tables.set_aside`, `ml.pricing.price`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.states import NoValue
from ml.text.visible import visible
from orchestration.alerts.keys import incident_key
from orchestration.alerts.outbox import Alert
from orchestration.conventions import keep_incidents
from orchestration.output.commands import assay_command
from orchestration.states import Severity

if TYPE_CHECKING:
    import duckdb

    from orchestration.alerts.outbox import Synchronised
    from orchestration.resources import Assay

SCOPE = "set_aside"
"""The scope to synchronise these alerts under."""


def report_set_aside(assay: Assay) -> Synchronised:
    """Open an incident per collection that is set aside, and end those of collections that are not any more."""
    with assay.lake.read() as con:
        alerts = set_aside_alerts(con)
    return keep_incidents(assay, SCOPE, alerts)


def set_aside_alerts(con: duckdb.DuckDBPyConnection) -> list[Alert]:
    """One alert per collection, grouped."""
    rows = con.execute(
        f"""
        select collection, min(body) from (
            select collection, rows || ' rows of ' || stage || ' break a rule: ' || column_name || ' is '
                || coalesce(value, 'null') || ', expected ' || expected || '.' as body
            from ops.set_aside
            union all
            select collection, count(*) || ' tokens have a price or an interval that no token can be worth.' as body
            from predictions.token_estimates where no_value_reason = '{NoValue.IMPLAUSIBLE}' group by collection
        )
        group by collection order by collection
        """
    ).fetchall()
    return [
        Alert(
            key=incident_key(SCOPE, collection),
            severity=Severity.TICKET,
            title=f"{visible(collection)} was set aside",
            body=f"{body} Its tokens have no value until this is corrected; all other collections went on.",
            runbook="collection-set-aside",
            command=assay_command("why", collection),
            group="collections were set aside",
        )
        for collection, body in rows
    ]
