"""The check that drift is a matter of single collections and not of the market."""

from __future__ import annotations

from orchestration.checks.definition import Check, CheckContext, Finding
from orchestration.monitoring.drift import WIDESPREAD, standing_drift


def drift_is_not_widespread(context: CheckContext) -> Finding:
    """Collections and markets that are drifted by their newest window."""
    standing = standing_drift(context.con)
    return Finding(
        standing.share <= WIDESPREAD and not standing.markets,
        {"share": standing.share, "limit": WIDESPREAD},
        note=f"{standing.collections} of {standing.tested} tested collections drifted, {standing.markets} market(s)",
    )


DRIFT = (
    Check(
        name="drift_is_not_widespread",
        asset="drift_scores",
        description=f"At most {WIDESPREAD:.0%} of the tested collections are drifted, and no market as a whole. "
        "Otherwise estimates come from models that were trained on another market.",
        measure=drift_is_not_widespread,
        what_to_do="assay status",
        runbook="drift",
    ),
)
