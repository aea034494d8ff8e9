"""How far a long step is: parts done of all parts, reported by the code that does them to the code that shows them.

Here: reporting, and the time that is left. Not here: showing it (`orchestration.output.progress`). Where no command
shows progress, a report goes nowhere and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SOONEST_S = 2.0
"""Seconds of a step before its end is estimated: the first parts say little about the others."""


@dataclass(frozen=True)
class PartsDone:
    """How far a step is.

    Attributes:
        what: What the parts are, in the plural: "collections".
        done: How many are done.
        total: How many there are.
    """

    what: str
    done: int
    total: int

    def in_words(self, elapsed_s: float) -> str:
        """`12 of 57 collections, about 40 s left`.

        Args:
            elapsed_s: Seconds since the step began; those left are estimated at the same pace.
        """
        words = f"{self.done:,} of {self.total:,} {self.what}"
        left = self.total - self.done
        if elapsed_s < SOONEST_S or self.done < 1 or left < 1:
            return words
        return f"{words}, about {_duration(elapsed_s * left / self.done)} left"


Listener = Callable[[PartsDone], None]
_listeners: list[Listener] = []


def report_parts(what: str, done: int, total: int) -> None:
    """Report how far a step is, to every listener of this process."""
    for listener in _listeners:
        listener(PartsDone(what, done, total))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have a function called with what the steps of this process report."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def _duration(seconds: float) -> str:
    """Seconds for a person, not more exact than an estimate can be."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 90:
        return f"{10 * round(seconds / 10)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{round(minutes / 60)} h"
