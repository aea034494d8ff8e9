"""The market day by day, in the order in which it becomes known.

Here: running the market forward, sorting rows into the days on which they arrive, keeping what was made, and going
back to a checkpoint. Not here: what a day contains (`sources.simulator.market`, `sources.simulator.orders`,
`sources.simulator.rows`, `sources.simulator.launches`).
"""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import EXCHANGE_RATES, LISTINGS, QUARANTINE, SALES, TRANSFERS
from sources.protocol import SourceBatch
from sources.simulator.arrivals import after_outages
from sources.simulator.checkpoints import load_checkpoint, save_checkpoint
from sources.simulator.config import DAY_US, SimulatorConfig, day_generator
from sources.simulator.launches import Launches
from sources.simulator.market import first_state, trade_one_day
from sources.simulator.orders import order_one_day
from sources.simulator.progress import Progress, Tables
from sources.simulator.rows import RowMaker
from sources.simulator.universe import Universe, build_universe, with_mania
from sources.validation import validate

_CHECKPOINT_DAYS = 30
_KEPT_CHECKPOINTS = 4
_MEMORY_BYTES = 400_000_000
_HOURLY_ETH_SD = 0.006
_USDC_SD = 0.0004
_BELIEVABLE_PRICE = 1e12
_RENAMED = ("price_native", "amount")


class Timeline:
    """Arrivals by day. Going on is cheap; going back restarts from a checkpoint."""

    def __init__(self, config: SimulatorConfig, cache_dir: Path | None) -> None:
        """Set up a market that has not run yet.

        Args:
            config: The market's settings.
            cache_dir: Where checkpoints are kept between processes; None = nowhere.
        """
        self.config = config
        self.cache_dir = cache_dir
        self.universe: Universe = build_universe(config)
        self.maker = RowMaker(config, self.universe)
        self.launches = Launches(self.maker)
        self._progress: Progress | None = None
        self._checkpoints: OrderedDict[int, Progress] = OrderedDict()
        self._made: OrderedDict[int, Tables] = OrderedDict()
        self._held_bytes = 0
        self._effect: tuple[int, np.ndarray] = (0, self.universe.effect)

    def arrivals(self, day: int, table: str) -> SourceBatch:
        """Rows of a dated table that become known on a day, in known order.

        Mints from before the first day are not among them (`Launches.history`).
        """
        if day not in self._made:
            self._run_to(day)
        self._made.move_to_end(day)
        rows = self._made[day][table]
        if table == SALES.name and self._needs_validation(rows, day):
            return self._validated(rows, day)
        return SourceBatch(rows, QUARANTINE.schema.empty_table())

    def levels(self, day: int) -> list[np.ndarray]:
        """Log levels at each midnight up to and including that of `day`."""
        if self._progress is None:
            self._progress = self._resume(day)
        if self._progress.state.day < day:
            self._run_to(day - 1)
        return self._progress.state.levels[: day + 1]

    def effect(self, day: int) -> np.ndarray:
        """Log premium of each token on a day."""
        begun = tuple(f for f in self.config.faults if f.name == "trait_mania" and f.day <= day)
        if len(begun) != self._effect[0]:
            self._effect = (len(begun), with_mania(self.universe, begun))
        return self._effect[1]

    def _run_to(self, day: int) -> None:
        """Make the days up to `day` that are not made yet."""
        progress = self._progress
        if progress is None or progress.state.day > day:
            progress = self._resume(day)
        while progress.state.day <= day:
            today = progress.state.day
            if today % _CHECKPOINT_DAYS == 0 and today not in self._checkpoints:
                self._keep(today, progress)
            made = self._one_day(progress)
            if today not in self._made:
                self._remember(today, made)
        self._progress = progress
        if progress.state.day >= self.config.days and self.cache_dir is not None:
            save_checkpoint(self.cache_dir, self.config, progress)

    def _resume(self, day: int) -> Progress:
        """The latest known progress that is not after `day`."""
        known = [d for d in self._checkpoints if d <= day]
        best = max(known, default=-1)
        if self.cache_dir is not None:
            saved = load_checkpoint(self.cache_dir, self.config, before=day, after=best)
            if saved is not None:
                return saved
        if best >= 0:
            return deepcopy(self._checkpoints[best])
        return Progress(first_state(self.config, self.universe))

    def _keep(self, day: int, progress: Progress) -> None:
        """Keep the progress, in memory and (if asked for) on disk."""
        self._checkpoints[day] = deepcopy(progress)
        while len(self._checkpoints) > _KEPT_CHECKPOINTS:
            self._checkpoints.popitem(last=False)
        if self.cache_dir is not None and day > 0:
            save_checkpoint(self.cache_dir, self.config, progress)

    def _remember(self, day: int, made: Tables) -> None:
        """Keep a day's arrivals, and let go of the days not asked for longest beyond the memory allowed."""
        self._made[day] = made
        self._made.move_to_end(day)
        self._held_bytes += _nbytes(made)
        while self._held_bytes > _MEMORY_BYTES and len(self._made) > 1:
            self._held_bytes -= _nbytes(self._made.popitem(last=False)[1])

    def _one_day(self, progress: Progress) -> Tables:
        """Run the market for a day and take what arrives on it."""
        state, day = progress.state, progress.state.day
        effect = self.effect(day)
        midnight = state.level + state.swing
        trades, _ = trade_one_day(self.config, self.universe, effect, state)
        events, state.orders = order_one_day(
            self.config,
            self.universe,
            effect,
            state.orders,
            trades,
            midnight,
            state.owner,
            day,
            day_generator(self.config, day, 1),
        )
        rng = day_generator(self.config, day, 2)
        usd = state.eth_log + np.concatenate([[0.0], np.cumsum(rng.normal(0, _HOURLY_ETH_SD, 24))])
        state.eth_log = float(usd[-1])
        pegged = 1.0 + rng.normal(0, _USDC_SD, 24)
        hours = after_outages(self.config, day * DAY_US + np.arange(24) * 3_600_000_000)
        made: Tables = {
            SALES.name: pa.concat_tables(
                [
                    self.maker.sales(trades, day, float(np.exp(usd[0])), day_generator(self.config, day, 3)),
                    self.launches.primary_sales(day, day_generator(self.config, day, 4)),
                ]
            ),
            TRANSFERS.name: pa.concat_tables(
                [
                    self.maker.transfers(trades, day, day_generator(self.config, day, 5)),
                    self.launches.mints(day, day_generator(self.config, day, 6)),
                ]
            ),
            LISTINGS.name: self.maker.listings(events, day, day_generator(self.config, day, 7)),
            EXCHANGE_RATES.name: self.maker.rates(usd[:-1], pegged, day, hours),
        }
        return self._arriving(progress, made, day)

    def _arriving(self, progress: Progress, made: Tables, day: int) -> Tables:
        """Today's arrivals: rows held back until now, and today's that arrive at once."""
        today = progress.pending.pop(day, {})
        for name, rows in made.items():
            arrival = self._arrival_day(rows)
            for later in np.unique(arrival[arrival != day]):
                held = progress.pending.setdefault(int(later), {})
                late = rows.filter(pa.array(arrival == later))
                held[name] = pa.concat_tables([held[name], late]) if name in held else late
            now = rows if bool((arrival == day).all()) else rows.filter(pa.array(arrival == day))
            today[name] = _in_known_order(pa.concat_tables([today[name], now]) if name in today else now)
        return today

    def _arrival_day(self, rows: pa.Table) -> np.ndarray:
        known = rows.column("known_at").cast(pa.int64()).to_numpy()
        return (known - self.maker.start_us) // DAY_US

    def _needs_validation(self, rows: pa.Table, day: int) -> bool:
        """Rows are right by construction, unless a fault broke the schema or left a price in wei."""
        if self.config.active("schema_break", day):
            return True
        highest = pc.max(rows.column("price_native")).as_py()
        return highest is not None and highest > _BELIEVABLE_PRICE

    def _validated(self, rows: pa.Table, day: int) -> SourceBatch:
        """The day's sales after validation; under schema_break the price comes under another name."""
        old, new = _RENAMED
        broken = bool(self.config.active("schema_break", day))
        renamed = rows.rename_columns([new if broken and n == old else n for n in rows.column_names])
        end = self.config.start_time + timedelta(days=day + 1)
        return validate(SALES.name, renamed, now=end, undated_known_at=end, always=SALES.names)


def _nbytes(made: Tables) -> int:
    return sum(t.nbytes for t in made.values())


def _in_known_order(rows: pa.Table) -> pa.Table:
    rows = rows.combine_chunks()
    order = pc.sort_indices(
        rows, sort_keys=[("known_at", "ascending"), ("event_time", "ascending"), ("source_row", "ascending")]
    )
    return rows.take(order)
