"""Runs whose process was killed: recognised, marked as failed, their pool slots freed.

Here: which process executes a run, and what becomes of the run when it is gone. Not here: letting one run in at a time
(`orchestration.home`), or executing one (`orchestration.execution`).
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

PROCESS_TAG = "assay/process"
"""Runs started by `assay` carry the process that executes them, so that the next one can recognise an orphaned run."""


def process_tags() -> dict[str, str]:
    """Tags for a run that this process executes."""
    return {PROCESS_TAG: f"{socket.gethostname()}/{os.getpid()}/{psutil.Process().create_time():.0f}"}


def fail_orphaned_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs whose process is gone as failed and free their pool slots; returns how many.

    Without a daemon nothing else would: a run killed with -9 stays "started", and its slot in the lake-writer pool
    would make the next run wait for ever. Slots of runs that have ended are freed too: whoever marked one as failed
    may have been killed itself before it freed the slot.
    """
    import dagster as dg

    from orchestration.dagster_internals import GRPC_INFO_TAG

    orphaned = 0
    unfinished = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.CANCELING, *_under_way()]
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
        process, server = run.tags.get(PROCESS_TAG), run.tags.get(GRPC_INFO_TAG)
        if _is_alive(process) if process else server is None or answers(json.loads(server).get("socket")):
            continue
        instance.report_run_failed(
            run, "The process that executed this run is gone (killed?). The next run takes over."
        )
        orphaned += 1
    _free_slots_of_ended_runs(instance)
    return orphaned


def _free_slots_of_ended_runs(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    for pool in storage.get_concurrency_keys():
        held = storage.get_concurrency_info(pool)
        for run_id in held.active_run_ids | held.assigned_run_ids | held.pending_run_ids:
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                storage.free_concurrency_slots_for_run(run_id)


def cancel_runs_of(instance: dg.DagsterInstance, server: Path) -> None:
    """Note that the runs which a code server has started are to be cancelled: to be interrupted is then no failure."""
    import dagster as dg

    from orchestration.dagster_internals import GRPC_INFO_TAG

    for run in instance.get_runs(dg.RunsFilter(statuses=_under_way())):
        started_by = run.tags.get(GRPC_INFO_TAG)
        if started_by is not None and json.loads(started_by).get("socket") == str(server):
            instance.report_run_canceling(run)


def _under_way() -> list[dg.DagsterRunStatus]:
    import dagster as dg

    return [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def answers(server: str | None) -> bool:
    """Whether a code server listens on its socket; its runs end with it. One with a port is not asked: True."""
    if server is None:
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(server)
        except OSError:
            return False
    return True


def _is_alive(process: str) -> bool:
    host, pid, created = process.rsplit("/", 2)
    if host != socket.gethostname():
        return True
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(created)) < 2
    except psutil.NoSuchProcess:
        return False
