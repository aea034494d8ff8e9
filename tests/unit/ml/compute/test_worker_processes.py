"""Tasks in processes of their own: what comes back, what a lost process costs, and when they end."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ml.compute.backend import ThreadBackend
from ml.compute.tasks import Raised, one_in_a_process
from ml.compute.worker_processes import Processes, WorkerLostError, processes


class UnportableError(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


@one_in_a_process
def where(task: float) -> tuple[int, float, float]:
    began = time.monotonic()
    time.sleep(task)
    return os.getpid(), began, time.monotonic()


def wrong(task: str) -> None:
    raise KeyError(task) if task == "known" else UnportableError(task, "more")


@one_in_a_process
def ends_its_process_at(task: tuple[int, str]) -> int:
    number, marks = task
    if marks:
        with Path(marks).open("a") as file:
            file.write("x")
        if Path(marks).stat().st_size < 2 or number < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_many_tasks_are_computed_elsewhere_one_at_a_time_in_each_process() -> None:
    found = [result for _, result in ThreadBackend(workers=2).run(where, [0.01] * 60)]
    spans: dict[int, list[tuple[float, float]]] = {}
    for result in found:
        assert not isinstance(result, Raised)
        pid, began, ended = result
        spans.setdefault(pid, []).append((began, ended))
    assert len(found) == 60
    assert len(spans) == 2
    assert os.getpid() not in spans
    for own in spans.values():
        own.sort()
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(own))


def test_few_tasks_stay_here_until_they_have_become_many() -> None:
    backend, places = ThreadBackend(workers=7), []
    for _ in range(3):
        ran = backend.run(where, [0.0] * 20)
        places.append({result[0] for _, result in ran if not isinstance(result, Raised)})
    assert places[0] == {os.getpid()}
    assert places[1]
    assert os.getpid() not in places[1] | places[2]
    alone = ThreadBackend(workers=1).run(where, [0.0] * 60)
    assert {result[0] for _, result in alone if not isinstance(result, Raised)} == {os.getpid()}


def test_an_error_arrives_as_it_is_or_with_its_text() -> None:
    with pytest.raises(KeyError, match="known"):
        processes(2).call(wrong, "known")
    with pytest.raises(RuntimeError, match="UnportableError: this and more"):
        processes(2).call(wrong, "this")


def test_a_function_that_another_process_cannot_find_is_an_error() -> None:
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        processes(2).call(lambda task: task, 1)
    assert processes(2).call(abs, -1) == 1


def test_a_task_whose_process_is_lost_is_given_to_another(tmp_path: Path) -> None:
    assert processes(2).call(ends_its_process_at, (1, str(tmp_path / "once"))) == 1
    assert (tmp_path / "once").read_text() == "xx"


def test_a_task_that_ends_every_process_fails_alone(tmp_path: Path) -> None:
    tasks = [(number, "") for number in range(60)]
    tasks[7] = (-1, str(tmp_path / "always"))
    found = dict(ThreadBackend(workers=2).run(ends_its_process_at, tasks))
    lost = found.pop(tasks[7])
    assert isinstance(lost, Raised)
    assert isinstance(lost.error, WorkerLostError)
    assert "-9" in str(lost.error)
    assert found == {task: task[0] for task in tasks if task != tasks[7]}


def test_the_exit_code_of_a_lost_process_is_its_own() -> None:
    with pytest.raises(WorkerLostError, match=r"exit codes 7, 7, 7"):
        Processes(1).call(os._exit, 7)


def test_a_process_that_has_ended_by_itself_is_replaced() -> None:
    pool = Processes(1)
    first = pool.call(where, 0.0)[0]
    psutil.Process(first).kill()
    assert pool.call(where, 0.0)[0] not in (first, os.getpid())
    pool.end()


def test_processes_end_with_the_one_that_is_killed() -> None:
    program = (
        "import threading, time\n"
        "from ml.compute.worker_processes import processes\n"
        "print(processes(1).call(abs, -1), flush=True)\n"
        "threading.Thread(target=processes(1).call, args=(time.sleep, 600)).start()\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"1\n"
        workers = psutil.Process(killed.pid).children()
        assert len(workers) == 1
        killed.kill()
    assert psutil.wait_procs(workers, timeout=30)[1] == []
