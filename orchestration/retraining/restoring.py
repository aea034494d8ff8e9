"""The job `restore_champions`: examine champions, restore or demote them, and value the tokens again at once.

Here: the order, and events for the UI. Not here: the verdicts (`ml.retraining.restore`), which champions
(`orchestration.retraining.sensors`).
"""

from dataclasses import dataclass

import dagster as dg
from pydantic import Field

from ml.retraining.restore import Finding
from ml.states import Action
from ml.text.visible import visible
from orchestration.conventions import LAKE_WRITER
from orchestration.dagster_resources import AssayResource
from orchestration.partitions import collection_key
from orchestration.resources import Assay
from orchestration.retraining.worklist import retraining_policy


@dataclass(frozen=True)
class Restored:
    """Findings on the champions that were examined; tokens valued again, 0 when none changed."""

    findings: list[Finding]
    tokens: int

    @property
    def changed(self) -> list[Finding]:
        """Those whose champion is another now."""
        return [finding for finding in self.findings if finding.champion is not None]


class Examination(dg.Config):
    """Whose champions to examine."""

    collections: list[str] = Field(description="collections with a champion, in any order")


def restore_worse(assay: Assay, keys: list[str], run_id: str) -> Restored:
    """Examine the champions of some collections, restore better ones, and score what changed.

    Raises:
        FeatureMismatchError: the lake holds other features than the live prior was fitted on.
    """
    from ml.retraining.restore import examine, restore
    from orchestration.predictions.assets import score_what_changed

    as_of, policy = assay.as_of, retraining_policy(assay.settings)
    with assay.lake.read() as con:
        decisions = examine(con, assay.registry, keys, as_of, policy=policy)
    if all(decision.action == Action.NONE for decision in decisions.values()):
        return Restored([Finding(key, Action.NONE, r.reason, r.contest) for key, r in decisions.items()], 0)
    with assay.lake.write("put better champions back") as con:
        findings = restore(con, assay.registry, decisions, run_id, as_of)
    return Restored(findings, score_what_changed(assay).tokens)


@dg.op(
    pool=LAKE_WRITER,
    description="Put the previous version back where it would have been better on the same sales; take a tier from "
    "what training did not help; value the tokens of both again.",
)
def examine_champions(
    context: dg.OpExecutionContext, config: Examination, assay: AssayResource
) -> dict[str, int]:
    """Returns collections by action."""
    restored = restore_worse(assay, config.collections, context.run_id)
    for finding in restored.findings:
        context.log.info(visible(f"{finding.collection}: {finding.action}: {finding.reason}"))
    for finding in restored.changed:
        assert finding.champion is not None
        context.log_event(
            dg.AssetMaterialization(
                "price_models",
                partition=collection_key(finding.collection),
                metadata={
                    "action": str(finding.action),
                    "reason": finding.reason,
                    "model_version": finding.champion.model_version,
                    "tier": str(finding.champion.tier),
                },
            )
        )
    if restored.changed:
        context.log_event(
            dg.AssetMaterialization("token_estimates", metadata={"rows_written": restored.tokens})
        )
    counts: dict[str, int] = {}
    for finding in restored.findings:
        counts[str(finding.action)] = counts.get(finding.action, 0) + 1
    context.add_output_metadata({**counts, "tokens_valued_again": restored.tokens})
    return counts


@dg.job(
    description="Examine champions that err more than before; roll back, fall back a tier, and value again.",
    executor_def=dg.in_process_executor,
)
def restore_champions() -> None:
    """One op; its config is the list."""
    examine_champions()
