"""`assay ui`: it shows what `assay run` did, and what it starts ends with it.

That is a web server, a daemon, a code server and the processes of runs.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import psutil
import pytest

from orchestration.home import open_instance
from orchestration.run_origin import LAUNCHED_BY_TAG
from orchestration.settings import load_settings
from tests.homes import finished_market
from tests.unit.serving.servers import free_port

ASSAY = str(Path(sys.executable).parent / "assay")
LAUNCH = """mutation { launchRun(executionParams: {runConfigData: {}, selector: {repositoryLocationName: "assay",
repositoryName: "__repository__", jobName: "everything"}}) { ... on LaunchRunSuccess { run { runId } } } }"""
RUNS = """{ repositoryOrError(repositorySelector: {repositoryLocationName: "assay", repositoryName: "__repository__"}) {
... on Repository { jobs { name runs(limit: 5) { runId status tags { key value }
repositoryOrigin { repositoryName repositoryLocationName } } } } } }"""
MAIN_JOBS = {"ingest", "build", "train", "retrain_worklist", "score", "monitor", "publish"}

pytestmark = pytest.mark.slow


class Interface:
    """A running `assay ui`."""

    def __init__(self, home: Path, process: subprocess.Popen, port: int) -> None:
        self.home, self.process, self.graphql = home, process, f"http://127.0.0.1:{port}/graphql"

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def ask(self, query: str) -> dict[str, Any]:
        answer = httpx.post(self.graphql, json={"query": query}, timeout=60).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def launch(self) -> str:
        run_id: str = self.ask(LAUNCH)["launchRun"]["run"]["runId"]
        return run_id

    def answers(self) -> bool:
        try:
            return httpx.post(self.graphql, json={"query": "{ version }"}, timeout=60).status_code == 200
        except httpx.HTTPError:
            return False

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        with open_instance(load_settings(home=self.home)) as instance:
            return instance.get_run_by_id(run_id).status


@contextmanager
def interface(home: Path) -> Iterator[Interface]:
    port = free_port()
    with (home.parent / "ui.log").open("ab") as log:
        process = subprocess.Popen(
            [ASSAY, "ui", "--home", str(home), "--port", str(port)],
            stderr=log,
            stdout=log,
        )
    started = Interface(home, process, port)
    try:
        wait_until(lambda: started.answers() or process.poll() is not None)
        assert process.poll() is None, (home.parent / "ui.log").read_text()[-3000:]
        yield started
    finally:
        process.kill()
        process.wait()


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(600):
        if happened():
            return
        time.sleep(0.2)
    raise AssertionError("it has not happened within two minutes")


def all_ended(processes: list[psutil.Process]) -> bool:
    """Whether none lives; one that nobody has collected counts as ended."""
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def check_that_jobs_show_what_assay_run_did(shown: Interface) -> None:
    """Each run is listed under its job of the code location: where the page of a job, and the overview, look."""
    jobs = {job["name"]: job["runs"] for job in shown.ask(RUNS)["repositoryOrError"]["jobs"]}
    assert {name for name, runs in jobs.items() if runs} == MAIN_JOBS
    for runs in (jobs[name] for name in MAIN_JOBS):
        for run in runs:
            assert run["status"] == "SUCCESS"
            assert run["repositoryOrigin"]["repositoryLocationName"] == "assay"
            tags = {tag["key"]: tag["value"] for tag in run["tags"]}
            assert tags[LAUNCHED_BY_TAG] == "assay run"
            assert tags["assay/source"] == "simulator"
            assert tags["assay/as_of"].endswith("Z")


@pytest.mark.timeout(600)
def test_the_interface_shows_what_was_done_and_nothing_that_it_has_started_outlives_it(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed in the middle of a run; the next one is asked to stop in the middle of a run."""
    home = tmp_path / "home"
    shutil.copytree(finished_market(tmp_path_factory)[0], home)
    with interface(home) as one:
        check_that_jobs_show_what_assay_run_did(one)
        killed = one.launch()
        wait_until(lambda: one.status(killed) == dg.DagsterRunStatus.STARTED)
        started = one.descendants()
        assert len(started) >= 4, "web server, daemon, code server and the run's process"
        os.kill(one.process.pid, signal.SIGKILL)
        wait_until(lambda: all_ended(started))
    with interface(home) as two:
        assert two.status(killed) == dg.DagsterRunStatus.FAILURE, "what is left of a run is not under way"
        run = two.launch()
        wait_until(lambda: two.status(run) == dg.DagsterRunStatus.STARTED)
        started = two.descendants()
        two.process.terminate()
        assert two.process.wait(120) == 143
        assert all_ended(started)
        assert two.status(run) == dg.DagsterRunStatus.CANCELED
    assert "stopped by SIGTERM: runs that were under way are cancelled" in (tmp_path / "ui.log").read_text()
