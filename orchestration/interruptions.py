"""Ctrl-C and SIGTERM as one thing: a request to stop, which whoever runs ends cleanly.

Here: the exception, its handler, and noticing a signal that a library has taken for itself. Not here: what is said to
the user (`orchestration.cli.stopping`).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

# A forked process (an API worker) would write its signals to the pipe of its parent.
os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))


class StopRequestedError(KeyboardInterrupt):
    """A signal has asked this process to stop.

    Attributes:
        signal: Which one.
    """

    def __init__(self, number: int) -> None:
        """Asked by the signal of this number."""
        self.signal = signal.Signals(number)
        super().__init__(f"stopped by {self.signal.name}")


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `StopRequestedError` in the main thread when one arrives. A signal that is ignored stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, _raise)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])


def _raise(number: int, _frame: FrameType | None) -> None:
    raise StopRequestedError(number)


@contextmanager
def noticed_signals() -> Iterator[Callable[[], int | None]]:
    """A function that tells which request to stop has arrived within the block; None: none.

    Libraries put handlers of their own in place (Dagster), or turn the exception into an error of their own (DuckDB).
    The interpreter writes each signal to a descriptor as well, whatever its handler does. Outside the main thread no
    signal is noticed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    reader, writer = os.pipe()
    arrived: list[int] = []

    def latest() -> int | None:
        with suppress(BlockingIOError):
            arrived.extend(n for n in os.read(reader, 64) if n in SIGNALS)
        return arrived[-1] if arrived else None

    try:
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            yield latest
        finally:
            signal.set_wakeup_fd(before)
    finally:
        os.close(reader)
        os.close(writer)
