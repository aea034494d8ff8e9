"""The sensors `retrain_drifted` and `roll_back_worse`. Off unless enabled; they request nothing without ASSAY_ACTING.

Here: glue between the queue, the cursor and run requests. Not here: which collections are chosen
(`orchestration.retraining.worklist`, `ml.retraining.restore`). A tick reads two small tables and requests at most one
run, however many collections wait.
"""

import hashlib
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from orchestration.dagster_resources import AssayResource
from orchestration.models.worklist import collections_of, worklist_config
from orchestration.retraining.worklist import Memory, choose, read_waiting, retraining_policy

if TYPE_CHECKING:
    from ml.retraining.policy import RetrainingPolicy

RETRAINING_TAG = "assay/acting"
TIME_TAG = "assay/market_time"
RETRAIN_DRIFTED, ROLL_BACK_WORSE = "retrain_drifted", "roll_back_worse"

EXAMINE_AGAIN_H = 24
"""Hours (of `as_of`) of new sales after which a champion that was kept is examined again."""

EXAMINED_AT_ONCE = 100
"""Champions that one run examines: each needs its files."""

_RUNS_REMEMBERED = 50
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def build_retraining_sensors(*, enabled: bool) -> list[dg.SensorDefinition]:
    """Both, off unless enabled."""
    status = dg.DefaultSensorStatus.RUNNING if enabled else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=RETRAIN_DRIFTED,
        job_name="retrain_worklist",
        minimum_interval_seconds=300,
        default_status=status,
        description="Trains what waits in ops.retrain_queue, most valuable first, all of it in one run: at most "
        "ASSAY_RETRAIN_CAP at a time and ASSAY_RETRAIN_DAILY_BUDGET a day, each at most once in "
        "ASSAY_RETRAIN_COOLDOWN_H. The only automation that trains collections out of turn.",
    )
    def retrain_drifted(
        context: dg.SensorEvaluationContext, assay: AssayResource
    ) -> dg.SkipReason | dg.RunRequest:
        policy, as_of = retraining_policy(assay.settings), assay.delivered_until
        if reason := _skip_reason(
            context.instance, RETRAIN_DRIFTED, policy, "nothing is trained out of turn"
        ):
            return reason
        memory = Memory.of_cursor(context.cursor) or requested_by_runs(context.instance)
        memory = memory.without_what_is_over(as_of, policy.cooldown_h)
        with assay.lake.read() as con:
            waiting, launched_today = read_waiting(con, as_of)
        choice = choose(waiting, launched_today, memory, as_of, policy)
        context.update_cursor(memory.with_requests(choice.keys, as_of).cursor())
        if not choice.keys:
            return dg.SkipReason(choice.why)
        return dg.RunRequest(
            run_key=choice.run_key,
            run_config=worklist_config(choice.keys, f"degraded or drifted: {choice.why}", learn_newest=True),
            tags={RETRAINING_TAG: RETRAIN_DRIFTED, TIME_TAG: as_of.isoformat()},
        )

    @dg.sensor(
        name=ROLL_BACK_WORSE,
        job_name="restore_champions",
        minimum_interval_seconds=600,
        default_status=status,
        description="Examines champions that err more than before: puts the previous version back where it would have "
        "been better on the same sales, takes a tier from those that training did not help, and values their tokens.",
    )
    def roll_back_worse(
        context: dg.SensorEvaluationContext, assay: AssayResource
    ) -> dg.SkipReason | dg.RunRequest:
        from ml.retraining.restore import suspects

        policy, as_of = retraining_policy(assay.settings), assay.delivered_until
        if reason := _skip_reason(context.instance, ROLL_BACK_WORSE, policy, "nothing is put back"):
            return reason
        with assay.lake.read() as con:
            found = suspects(con, as_of, policy)
        examined = _examined(context.cursor)
        due = [
            (s.collection, f"{s.version}", s.window_end)
            for s in found
            if not _is_examined(examined.get(s.collection), s.version, s.window_end)
        ][:EXAMINED_AT_ONCE]
        if not due:
            return dg.SkipReason(f"{len(found)} champions err more than before, all examined on these sales")
        names = {name for name, _, _ in due} | {s.collection for s in found}
        remembered = {name: window for name, window in examined.items() if name in names}
        remembered |= {name: [version, end.isoformat()] for name, version, end in due}
        context.update_cursor(json.dumps(remembered, sort_keys=True))
        shape = json.dumps(sorted((name, version, end.isoformat()) for name, version, end in due))
        return dg.RunRequest(
            run_key=f"restore-{hashlib.sha256(shape.encode()).hexdigest()[:20]}",
            run_config={
                "ops": {"examine_champions": {"config": {"collections": [name for name, _, _ in due]}}}
            },
            tags={RETRAINING_TAG: ROLL_BACK_WORSE, TIME_TAG: as_of.isoformat()},
        )

    return [retrain_drifted, roll_back_worse]


def requested_by_runs(instance: dg.DagsterInstance) -> Memory:
    """What was requested, from the runs themselves: for a cursor that was reset or is damaged."""
    requested: dict[str, datetime] = {}
    runs = instance.get_runs(dg.RunsFilter(tags={RETRAINING_TAG: RETRAIN_DRIFTED}), limit=_RUNS_REMEMBERED)
    for run in runs:
        at = datetime.fromisoformat(run.tags[TIME_TAG])
        for name in collections_of(run.run_config):
            requested[name] = max(at, requested.get(name, at))
    return Memory(requested)


def _skip_reason(
    instance: dg.DagsterInstance, sensor: str, policy: "RetrainingPolicy", consequence: str
) -> dg.SkipReason | None:
    """Why a sensor requests nothing whatever it would find: ASSAY_ACTING is false, or its last run has not ended."""
    if not policy.enabled:
        return dg.SkipReason(f"ASSAY_ACTING is false: {consequence}")
    requested = dg.RunsFilter(tags={RETRAINING_TAG: sensor}, statuses=_UNFINISHED)
    if instance.get_run_ids(requested, limit=1):
        return dg.SkipReason("the run requested last has not ended")
    return None


def _examined(cursor: str | None) -> dict[str, list[str]]:
    """Collection to version and window that were examined. An unreadable cursor costs one more examination."""
    try:
        stored = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return stored if isinstance(stored, dict) else {}


def _is_examined(window: list[str] | None, version: int, window_end: datetime) -> bool:
    if window is None or window[0] != str(version):
        return False
    return window_end < datetime.fromisoformat(window[1]) + timedelta(hours=EXAMINE_AGAIN_H)
