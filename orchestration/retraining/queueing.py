"""The retraining queue in a monitoring pass: the effect of earlier decisions, what waits now, and the alerts.

Here: the transactions. Not here: what is queued and why (`ml.retraining`), what is launched
(`orchestration.retraining.sensors`, `orchestration.retraining.worklist`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.alerts.outbox import keep_incidents
from orchestration.models.lost_files import find_lost_files
from orchestration.retraining import notices
from orchestration.retraining.worklist import retraining_policy

if TYPE_CHECKING:
    import dagster as dg

    from ml.retraining.queue import QueueSummary
    from orchestration.alerts.outbox import Synchronised
    from orchestration.resources import Assay


def queue_work(assay: Assay, instance: dg.DagsterInstance | None) -> tuple[QueueSummary, int, Synchronised]:
    """`ops.decision_effects` and `ops.retrain_queue`, and incidents about models and their files.

    Collections that an ended run did not train wait again.

    Args:
        assay: The home.
        instance: Its runs; without one, ended runs keep what they did not train.

    Returns:
        What waits, the decisions whose effect was measured for the first time, and the incidents.
    """
    from ml.retraining.effects import measure_effects
    from ml.retraining.queue import launched_runs, refresh_queue, release

    policy, as_of = retraining_policy(assay.settings), assay.as_of
    with assay.lake.read() as con:
        runs = launched_runs(con)
    ended = [run for run in runs if instance is not None and _has_ended(instance, run)]
    with assay.lake.write("queue what needs a training") as con:
        if ended:
            release(con, ended)
        effects = measure_effects(con, as_of, policy)
        queue = refresh_queue(con, as_of, policy)
    find_lost_files(assay)
    with assay.lake.read() as con:
        alerts = notices.model_alerts(con, as_of, policy)
    return queue, effects, keep_incidents(assay, notices.SCOPE, alerts)


def _has_ended(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run is over or not known any more: it will not train the rest of its list.

    Also one that succeeded: a few collections may fail in it.
    """
    run = instance.get_run_by_id(run_id)
    return run is None or run.is_finished
