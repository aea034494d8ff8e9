"""A job that is asked to stop, by real signals: its run is cancelled, and no step is tried again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from orchestration.code_location import CodeLocation
from orchestration.execution import execute
from orchestration.home import open_instance, prepare_home
from orchestration.interruptions import StopRequestedError, noticed_signals, stopping_on_signals
from orchestration.output.progress import console_logger, progress_logger
from orchestration.resources import Assay
from orchestration.settings import load_settings


def location_with(home: Path, work: Callable[[], None], tried: list[str]) -> CodeLocation:
    """A code location whose job has a step that does this, and one after it."""

    @dg.op(retry_policy=dg.RetryPolicy(max_retries=2))
    def first() -> int:
        tried.append("first")
        work()
        return 1

    @dg.op
    def second(_one: int) -> None:
        tried.append("second")

    @dg.job(executor_def=dg.in_process_executor)
    def work_on() -> None:
        second(first())

    settings = load_settings(home=home)
    prepare_home(settings)
    loggers = {"console": console_logger, "progress": progress_logger}
    return CodeLocation(Assay(settings), lambda _: dg.Definitions(jobs=[work_on], loggers=loggers))


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def query_until_interrupted() -> None:
    """DuckDB asks whether a signal has come, and raises an error of its own then."""
    threading.Timer(0.5, send, (signal.SIGINT,)).start()
    duckdb.sql(
        "select count(*) from range(100000000) a, range(1000000) b where a.range % 7 = b.range % 11"
    ).fetchone()


@pytest.mark.parametrize(
    ("work", "number"),
    [
        (lambda: send(signal.SIGINT), signal.SIGINT),
        (lambda: send(signal.SIGTERM), signal.SIGTERM),
        (query_until_interrupted, signal.SIGINT),
    ],
)
def test_a_job_that_is_asked_to_stop_is_cancelled(tmp_path, work, number) -> None:
    tried: list[str] = []
    location = location_with(tmp_path / "home", work, tried)
    with open_instance(location.assay.settings) as instance:
        with stopping_on_signals(), pytest.raises(StopRequestedError) as stopped:
            execute(location, instance, "work_on")
        assert stopped.value.signal == number
        assert tried == ["first"]
        (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.CANCELED


def test_a_job_that_fails_by_itself_is_tried_again_and_has_failed(tmp_path) -> None:
    def work() -> None:
        raise ValueError("of its own")

    tried: list[str] = []
    location = location_with(tmp_path / "home", work, tried)
    with open_instance(location.assay.settings) as instance:
        with stopping_on_signals():
            assert not execute(location, instance, "work_on").success
        assert tried == ["first"] * 3
        (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.FAILURE


def test_handlers_and_the_descriptor_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stopping_on_signals(), noticed_signals() as outer:
        with noticed_signals() as inner:
            with pytest.raises(StopRequestedError):
                send(signal.SIGTERM)
            assert inner() == signal.SIGTERM
        assert outer() is None, "a signal is noticed by the innermost"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_command_names_what_is_kept_and_ends_with_the_code_of_the_signal(
    number: int, code: int
) -> None:
    program = (
        "import os, signal, sys\n"
        "from orchestration import settings\n"
        "from orchestration.cli import app\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"settings.load_settings = lambda **_: os.kill(os.getpid(), {int(number)})\n"
        "sys.argv = ['assay', 'run']\n"
        "app.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code
    name = signal.Signals(number).name
    assert done.stderr.startswith(
        f"assay: stopped by {name}: what was ingested, built, trained and valued is kept;"
    )
    assert done.stderr.count("\n") == 1
