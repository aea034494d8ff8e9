"""Children whose parent is killed (SIGKILL, it alone): none lives on, whatever it does at that moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lake.child_processes import PARENT_VARIABLE, start_foreign_child, stop_child

PARENT = """
import sys, threading, time
from lake.child_processes import {start}
def go():
    child = {start}({module!r})
    print(child.pid, flush=True)
    time.sleep(1000)
if {in_a_thread}:
    threading.Thread(target=go).start()
else:
    go()
"""
CHILD = """
from lake.child_processes import end_with_input
end_with_input()
open({ready!r}, "w").close()
{does}
"""
WAITS = "import time; time.sleep(1000)"
READS = "import sys; sys.stdin.readline(); import time; time.sleep(1000)"
HOLDS_THE_INTERPRETER = "import ctypes; ctypes.PyDLL(None).sleep(1000)"


def ended(pid: int) -> bool:
    """Whether a process is gone; one that nobody has collected counts as gone."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(happened) -> None:
    for _ in range(600):
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError("it has not happened within a minute")


@pytest.mark.parametrize(
    ("does", "in_a_thread"), [(WAITS, False), (WAITS, True), (READS, False), (HOLDS_THE_INTERPRETER, False)]
)
def test_a_child_ends_with_a_parent_that_is_killed(tmp_path: Path, does: str, in_a_thread: bool) -> None:
    if does == HOLDS_THE_INTERPRETER and sys.platform != "linux":
        pytest.skip("Only Linux kills a child that does not give Python its turn.")
    ready = tmp_path / "ready"
    (tmp_path / "a_child.py").write_text(CHILD.format(ready=str(ready), does=does))
    parent = _parent(tmp_path, "start_child", "a_child", in_a_thread)
    child = int(parent.stdout.readline())
    wait_until(ready.exists)
    assert not ended(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_until(lambda: ended(child))


def test_a_module_of_somebody_else_ends_too(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    (tmp_path / "foreign.py").write_text(f"open({str(ready)!r}, 'w').close(); {WAITS}")
    parent = _parent(tmp_path, "start_foreign_child", "foreign", in_a_thread=False)
    child = int(parent.stdout.readline())
    wait_until(ready.exists)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_until(lambda: ended(child))


def test_a_module_gets_its_arguments_and_its_children_nothing_of_ours(tmp_path: Path) -> None:
    """The variable would let a grandchild take the grandparent for its parent."""
    out = tmp_path / "out"
    (tmp_path / "foreign.py").write_text(
        f"import os, sys; open({str(out)!r}, 'w').write(repr((sys.argv[1:], os.environ.get({PARENT_VARIABLE!r}))))"
    )
    child = start_foreign_child("foreign", ["a b", "--c"], environment=_environment(tmp_path))
    try:
        assert child.wait(60) == 0
    finally:
        stop_child(child, 1)
    assert out.read_text() == "(['a b', '--c'], None)"


def test_a_module_ends_when_asked_although_its_starter_ignores_an_interrupt(tmp_path: Path) -> None:
    """As a shell has it with `&`: Dagster gives SIGTERM whatever handles SIGINT."""
    ready = tmp_path / "ready"
    dagster_does = "import signal; signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT)); "
    (tmp_path / "foreign.py").write_text(f"{dagster_does}open({str(ready)!r}, 'w').close(); {WAITS}")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = start_foreign_child("foreign", environment=_environment(tmp_path))
    finally:
        signal.signal(signal.SIGINT, before)
    wait_until(ready.exists)
    stop_child(child, 30)
    assert child.returncode != -signal.SIGKILL


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}


def _parent(folder: Path, start: str, module: str, in_a_thread: bool) -> subprocess.Popen:
    program = PARENT.format(start=start, module=module, in_a_thread=in_a_thread)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=_environment(folder))
