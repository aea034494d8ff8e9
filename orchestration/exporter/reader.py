"""Reads a home again and again, and shows what it read last.

Here: when it is read, and what is shown when it cannot be. Not here: the numbers.

Concept: Prometheus gets the answer at once, whatever the home is doing. A thread reads the parts of the home. A part
that cannot be read keeps its last numbers; its age says how old they are. So a pipeline that is down is visible, and
not a gap in every graph.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from lake.connection import Lake
from orchestration.exporter.alert_numbers import alert_numbers
from orchestration.exporter.lake_numbers import lake_numbers
from orchestration.exporter.run_numbers import run_numbers
from serving.metrics.families import gauges

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from orchestration.settings import Settings

_log = logging.getLogger("assay.metrics")


@dataclass
class Part:
    """A part of the home that is read as a whole.

    Attributes:
        read: Reads it.
        numbers: What it gave last.
        read_at: When that was, seconds since 1970; 0: never.
        seconds: How long that took.
        problem: Why it could not be read the last time.
    """

    read: Callable[[], Sequence[Metric]]
    numbers: Sequence[Metric] = ()
    read_at: float = 0.0
    seconds: float = 0.0
    problem: str | None = field(default=None)


def parts_of(settings: Settings) -> dict[str, Part]:
    """The lake, the runs and the alerts of a home. Each is opened when it is first read."""
    config = settings.lake_config()

    def read_lake() -> Sequence[Metric]:
        # Opening a lake that is not there would make one.
        if not config.may_exist:
            raise FileNotFoundError(f"expected the lake's catalog at {config.catalog_path}, found none")
        # No table is named: it is read as it is, and not migrated.
        with Lake(config).read() as con:
            return lake_numbers(con)

    def read_runs() -> Sequence[Metric]:
        from orchestration.home import open_instance

        with open_instance(settings) as instance:
            return run_numbers(instance)

    return {
        "lake": Part(read_lake),
        "runs": Part(read_runs),
        "alerts": Part(lambda: alert_numbers(settings.home_path)),
    }


class HomeCollector(Collector):
    """What was read last of each part, and how old it is.

    Args:
        parts: By name.
        clock: Seconds since 1970.
    """

    def __init__(self, parts: dict[str, Part], clock: Callable[[], float] = time.time) -> None:
        self._parts, self._clock = parts, clock

    def refresh(self) -> None:
        """Read every part again; one that fails keeps its last numbers."""
        for name, part in self._parts.items():
            began = self._clock()
            try:
                numbers = part.read()
            except Exception as error:  # noqa: BLE001 - the boundary: shown as a metric, and logged once
                problem = f"{type(error).__name__}: {error}"
                if part.problem is None:
                    _log.error("%s cannot be read, its last numbers are shown: %s", name, problem)
                part.problem = problem
                continue
            if part.problem is not None:
                _log.warning("%s can be read again", name)
            part.numbers, part.read_at, part.problem = numbers, began, None
            part.seconds = self._clock() - began

    def refresh_for_ever(self, every_s: float) -> None:
        """Read again after each pause, in a thread that ends with the process."""

        def run() -> None:
            while True:
                self.refresh()
                time.sleep(every_s)

        threading.Thread(target=run, name="reader", daemon=True).start()

    def collect(self) -> Iterator[Metric]:
        """Nothing is read here."""
        label = ["part"]
        parts = list(self._parts.items())
        yield gauges(
            "assay_home_readable",
            "1 when this part of the home could be read the last time; otherwise its numbers are old.",
            label,
            [((name,), float(part.problem is None and part.read_at > 0)) for name, part in parts],
        )
        yield gauges(
            "assay_home_age_seconds",
            "How long ago the numbers of this part were read.",
            label,
            [((name,), self._clock() - part.read_at if part.read_at else None) for name, part in parts],
        )
        yield gauges(
            "assay_home_read_seconds",
            "How long it took to read them.",
            label,
            [((name,), part.seconds if part.read_at else None) for name, part in parts],
        )
        for _, part in parts:
            yield from part.numbers
