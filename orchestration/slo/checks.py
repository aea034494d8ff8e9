"""A check per SLO: it fails while the SLO burns its error budget fast enough to alert. No data is not a failure."""

from __future__ import annotations

from orchestration.checks.definition import Check, CheckContext, Finding, Measure
from orchestration.slo.definitions import Slo, load_slos
from orchestration.slo.tables import STATUS
from orchestration.states import ALERTING, CheckSeverity, Severity


def _measure_of(slo: Slo) -> Measure:
    def measure(context: CheckContext) -> Finding:
        found = context.con.execute(f"select * from {STATUS} where slo = ?", [slo.name])
        rows = found.to_arrow_table().to_pylist()
        if not rows:
            return Finding(True, note="no data: not evaluated yet")
        (status,) = rows
        # Severity, runbook and command are those of the check itself.
        own = {"slo", "severity", "runbook", "command", "note"}
        numbers = {k: v for k, v in status.items() if k not in own and isinstance(v, str | float)}
        return Finding(
            status["state"] not in ALERTING,
            numbers,
            note=f"{status['state']}: {status['note'] or slo.description}",
        )

    return measure


def _check(slo: Slo) -> Check:
    return Check(
        name=slo.name,
        asset="slo_status",
        description=f"{slo.description} Objective {slo.objective:g} over {slo.window_days:g} days; alerts as a "
        f"{slo.severity}.",
        measure=_measure_of(slo),
        severity=CheckSeverity.ERROR if slo.severity == Severity.PAGE else CheckSeverity.WARN,
        what_to_do=slo.command,
        runbook=slo.runbook,
    )


SERVICE_LEVELS = tuple(_check(slo) for slo in load_slos())
