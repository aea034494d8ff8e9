"""When rows become known: ordinary delays, and the faults that delay them further.

Here: event times → arrival times. Times are microseconds since the start of the simulation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sources.simulator.config import DAY_US, SimulatorConfig, fault_generator

Ints = npt.NDArray[np.int64]

_SHORTEST_US = 2_000_000
_MEAN_US = 20_000_000.0
_LATE_FAULT_SHARE = 0.6


def known_times(config: SimulatorConfig, event: Ints, day: int, rng: np.random.Generator) -> Ints:
    """When each event of a day becomes known.

    Most take seconds; a few a day; on a `late_data` day most take days; nothing arrives during an outage.
    """
    n = len(event)
    known = event + _SHORTEST_US + (rng.exponential(_MEAN_US, n)).astype(np.int64)
    late = rng.random(n) < config.calibration.late_share
    known = np.where(late, known + (rng.uniform(0.5, 1.5, n) * DAY_US).astype(np.int64), known)
    for fault in config.active("late_data", day):
        held = fault_generator(config, fault, n).random(n) < _LATE_FAULT_SHARE
        known = np.where(held, known + int(fault.magnitude * DAY_US), known)
    return after_outages(config, known)


def after_outages(config: SimulatorConfig, known: Ints) -> Ints:
    """Move arrivals out of outages: they come in the hour or so after the end, in their old order."""
    for fault in sorted(config.faults, key=lambda f: f.day):
        if fault.name == "outage":
            start, length = fault.day * DAY_US, round(fault.magnitude) * DAY_US
            inside = (known >= start) & (known < start + length)
            squeezed = start + length + ((known - start) * (3_600_000_000 / length)).astype(np.int64)
            known = np.where(inside, squeezed, known)
    return known
