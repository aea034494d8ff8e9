"""How far a simulated market has run.

Here: the state between two days. Not here: a day (`sources.simulator.timeline`), files
(`sources.simulator.checkpoints`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from sources.simulator.market import MarketState

Tables = dict[str, pa.Table]


@dataclass
class Progress:
    """How far the market has run: its state, and rows made that have not arrived yet.

    Attributes:
        state: The market at midnight.
        pending: Day of arrival → table → rows.
    """

    state: MarketState
    pending: dict[int, Tables] = field(default_factory=dict)
