"""The one place where checks become Dagster's: one op per group of checks, on one connection.

Here: specs, results and their metadata. Not here: what is checked. One op, because opening the lake and starting a step
cost more than most measurements.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from ml.text.markdown import markdown_table
from orchestration.checks.definition import Check, CheckContext, Finding
from orchestration.dagster_resources import AssayResource
from orchestration.states import CheckSeverity


def check_group(name: str, checks: Sequence[Check]) -> dg.AssetChecksDefinition:
    """All checks of a group as one op; each is a check of its own in the UI and can be run alone."""
    by_name = {(dg.AssetKey(check.asset), check.name): check for check in checks}

    @dg.multi_asset_check(name=name, specs=[spec_of(check) for check in checks], can_subset=True)
    def group(context: dg.AssetCheckExecutionContext, assay: AssayResource) -> Iterator[dg.AssetCheckResult]:
        selected = context.selected_asset_check_keys
        with assay.lake.read() as con:
            measured_with = CheckContext(con, assay.as_of, context.instance)
            for key in sorted(selected, key=lambda key: (key.asset_key.to_user_string(), key.name)):
                check = by_name[key.asset_key, key.name]
                yield result_of(check, judge(check, measured_with))

    return group


def judge(check: Check, context: CheckContext) -> Finding:
    """The check's finding."""
    return check.measure(context)


def guidance(severity: CheckSeverity, what_to_do: str, runbook: str) -> dict[str, str]:
    """Metadata of every check: severity, first command, runbook page."""
    # Plain text: Dagster stores no enumeration of ours.
    return {"severity": severity.value, "what_to_do": what_to_do, "runbook": f"docs/runbook/{runbook}.md"}


def spec_of(check: Check) -> dg.AssetCheckSpec:
    """The check as Dagster declares it."""
    return dg.AssetCheckSpec(
        name=check.name,
        asset=check.asset,
        blocking=check.blocking,
        description=f"{check.description} Severity {check.severity}{', blocking' if check.blocking else ''}. "
        f"What to do: docs/runbook/{check.runbook}.md",
        metadata=guidance(check.severity, check.what_to_do, check.runbook),
    )


def result_of(check: Check, finding: Finding) -> dg.AssetCheckResult:
    """A finding as Dagster records it, with the first offending rows."""
    severity = dg.AssetCheckSeverity[check.severity.name]
    rows = {}
    if finding.rows is not None and len(finding.rows):
        rows = {"failed_rows": dg.MetadataValue.md(markdown_table(finding.rows))}
    return dg.AssetCheckResult(
        check_name=check.name,
        asset_key=check.asset,
        passed=finding.passed,
        severity=severity,
        description=finding.note or None,
        metadata={
            **finding.numbers,
            **rows,
            **guidance(check.severity, finding.commands or check.what_to_do, check.runbook),
        },
    )


def evaluation_of(check: Check, finding: Finding) -> dg.AssetCheckEvaluation:
    """A finding as an event, for an op that does not run the asset itself (the worklist job)."""
    result = result_of(check, finding)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(check.asset),
        check_name=check.name,
        passed=result.passed,
        metadata=result.metadata,
        severity=result.severity,
        description=result.description,
    )
