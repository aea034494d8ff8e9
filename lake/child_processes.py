"""Processes that end with the one that started them, also when that is killed and cannot say so (ADR 52).

Here: both ends of it, written once: starting a child, and what the child does first. Not here: what any child does.
This lies beside the lake because a writer must not outlive whoever answers for it: it would hold the write lock.

Concept: the parent holds the other end of the child's standard input. The system closes it when the parent ends,
however it ends, and the child sees that its input hangs up. On Linux the system also kills the child, so that one that
computes without giving Python its turn ends at once.

`python -m lake.child_processes MODULE ARGUMENT…` runs a module of somebody else as such a child.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread, current_thread, main_thread

PARENT_VARIABLE = "ASSAY_PARENT_PROCESS"
"""Environment variable of a child: the id of its parent, if the thread that starts it lives as long as the parent."""

ORPHANED = 1
"""Exit code of a child whose parent has ended."""

_PR_SET_PDEATHSIG = 1
"""Of `prctl(2)`: the signal that a process gets when the thread that started it ends."""


def start_child(
    module: str,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a module of ours; it must call `end_with_input` before anything else.

    Args:
        module: As after `python -m`.
        arguments: Its arguments.
        environment: Its environment; None: that of this process.
        folder: Where it works; None: where this process does.

    Returns:
        The process. Closing its `stdin` ends it. It is in a session of its own: Ctrl-C reaches its parent only.
    """
    return subprocess.Popen(
        child_command(module, arguments),
        stdin=subprocess.PIPE,
        env=child_environment(environment),
        cwd=folder,
        start_new_session=True,
    )


def start_foreign_child(
    module: str,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """The same for a module that knows nothing of this one; its input is not for it to read."""
    return start_child(__name__, [module, *arguments], environment=environment, folder=folder)


def child_command(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """The command that starts a module of ours, for who must start it in another way than `start_child`."""
    return [sys.executable, "-m", module, *arguments]


def child_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment variables for that command."""
    child = {**(os.environ if environment is None else environment)}
    # The signal comes when the *thread* ends that started the child: only the main thread lasts as long as the process.
    child.pop(PARENT_VARIABLE, None)
    if current_thread() is main_thread():
        child[PARENT_VARIABLE] = str(os.getpid())
    return child


def stop_child(child: subprocess.Popen[bytes], seconds: float) -> None:
    """Ask a child to end, wait so long, then kill it."""
    child.terminate()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdin is not None:
        child.stdin.close()


def end_with_input() -> None:
    """End this process when whoever holds the other end of its standard input ends. Reads nothing of the input."""
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if parent and sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):  # it has ended before that
            os._exit(ORPHANED)
    # A copy: whoever closes the input, or puts another in its place, does not end the process.
    _when(_hangs_up, os.dup(0))


def end_with_parent() -> None:
    """End this process, if `multiprocessing` has started it, when the one that did ends."""
    parent = parent_process()
    if parent is not None:
        _when(_is_ready, parent.sentinel)


def _when(happened: Callable[[int], None], descriptor: int) -> None:
    def watch() -> None:
        happened(descriptor)
        os._exit(ORPHANED)

    Thread(target=watch, name="ends with its parent", daemon=True).start()


def _hangs_up(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, 0)  # a hang-up is reported in any case, and nothing else is asked for
    while not any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll()):
        pass


def _is_ready(descriptor: int) -> None:
    wait([descriptor])


def main() -> None:
    """Run the module that the arguments name, for as long as the parent lives."""
    end_with_input()
    # A shell has what it starts with `&` ignore SIGINT, and what that starts inherits it. Dagster gives SIGTERM the
    # handler of SIGINT: then it would not end when asked to.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    module, sys.argv = sys.argv[1], sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
