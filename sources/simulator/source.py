"""The simulated market as a `Source`, together with its hidden true values.

Here: windows of known time, and the truth tables. Not here: how the market runs (`sources.simulator.timeline`).

Read all tables of one window (up to about a month at 3,000 collections) before the next one: what was made
for the window is kept in memory, so the market runs once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sources.contract import (
    BLOCKS,
    COLLECTION_LEVELS,
    COLLECTIONS,
    QUARANTINE,
    TOKEN_EFFECTS,
    TOKEN_TRAITS,
    TRANSFERS,
    TRUTH_TABLES,
    UnknownTableError,
    raw_table,
)
from sources.protocol import SourceBatch
from sources.simulator.config import DAY_US, SimulatorConfig, config_from
from sources.simulator.identifiers import number_text

if TYPE_CHECKING:
    from sources.simulator.timeline import Timeline

_BATCH_ROWS = 200_000
_EPOCH = date(1970, 1, 1)


class SimulatorSource:
    """A seeded market with a hidden true value for every token."""

    name = "simulator"

    def __init__(self, config: SimulatorConfig, *, cache_dir: Path | str | None = None) -> None:
        """Describe a market; it runs when it is first read.

        Args:
            config: The market's settings.
            cache_dir: Where checkpoints are kept between processes; None = nowhere.
        """
        self.config = config
        self.cache_dir = None if cache_dir is None else Path(cache_dir)

    @cached_property
    def timeline(self) -> Timeline:
        """The running market. Imported when it runs: who only asks for the watermark waits for no scipy."""
        from sources.simulator.timeline import Timeline

        return Timeline(self.config, self.cache_dir)

    def watermark(self) -> datetime:
        """The midnight after the last day."""
        return self.config.start_time + timedelta(days=self.config.days)

    def first_known(self) -> datetime:
        """The first midnight."""
        return self.config.start_time

    def read(self, table: str, start: datetime, end: datetime) -> Iterator[SourceBatch]:
        """Rows of a raw table with start <= known_at < end, in known order; never past the watermark.

        Raises:
            UnknownTableError: If the contract has no such table.
        """
        raw_table(table)
        first, last = (self._us(t) for t in (max(start, self.first_known()), min(end, self.watermark())))
        if first >= last or table == BLOCKS.name:
            return
        if table == COLLECTIONS.name:
            yield from _batches([_clean(self.timeline.launches.collections(first, last))])
        elif table == TOKEN_TRAITS.name:
            yield from _batches(_clean(rows) for rows in self.timeline.launches.traits(first, last))
        else:
            yield from _batches(self._dated(table, start, end, first, last))

    def truth(self, table: str) -> Iterator[pa.Table]:
        """The hidden truth up to the watermark: what no model may read.

        `collection_levels` has each midnight since the launch, the watermark's included; `token_effects` has
        each token launched by then, with the effect it has at the watermark.

        Raises:
            UnknownTableError: If there is no such truth table.
        """
        if table == COLLECTION_LEVELS.name:
            yield self._levels()
        elif table == TOKEN_EFFECTS.name:
            yield from self._effects()
        else:
            raise UnknownTableError(f"expected a truth table ({', '.join(TRUTH_TABLES)}), found {table!r}")

    def _us(self, time: datetime) -> int:
        return (time - self.first_known()) // timedelta(microseconds=1)

    def _dated(
        self, table: str, start: datetime, end: datetime, first: int, last: int
    ) -> Iterator[SourceBatch]:
        for day in range(first // DAY_US, (last - 1) // DAY_US + 1):
            if table == TRANSFERS.name:
                for rows in self._history_on(day):
                    yield _clean(_between(rows, start, end))
            batch = self.timeline.arrivals(day, table)
            whole = first <= day * DAY_US and (day + 1) * DAY_US <= last
            if not whole:
                batch = SourceBatch(_between(batch.rows, start, end), _between(batch.rejected, start, end))
            yield batch

    def _history_on(self, day: int) -> Iterator[pa.Table]:
        """Mints from before the first day: they arrive with the first rows, in front of them."""
        launches = self.timeline.launches
        old = launches.known_us[launches.universe.launch_day < 0]
        if len(old) and old[0] // DAY_US == day:
            yield from launches.history()

    def _levels(self) -> pa.Table:
        levels = np.array(self.timeline.levels(self.config.days))
        launch = self.timeline.universe.launch_day
        days, where = np.nonzero(np.arange(len(levels))[:, None] >= launch[None, :])
        first = (self.config.start - _EPOCH).days
        columns = {
            "collection": self.timeline.universe.names.take(pa.array(where)),
            "day": pa.array((days + first).astype(np.int32)).cast(pa.date32()),
            "log_level": pa.array(levels[days, where]),
        }
        return pa.table(columns).cast(COLLECTION_LEVELS.schema)

    def _effects(self) -> Iterator[pa.Table]:
        universe = self.timeline.universe
        effect = self.timeline.effect(self.config.days - 1)
        for low in range(0, len(effect), _BATCH_ROWS):
            token = np.arange(low, min(low + _BATCH_ROWS, len(effect)))
            token = token[universe.launch_day[universe.collection_of[token]] < self.config.days]
            where = universe.collection_of[token].astype(np.int64)
            columns = {
                "collection": universe.names.take(pa.array(where)),
                "token_id": number_text(token - universe.offsets[where] + 1),
                "log_effect": pa.array(effect[token].astype(np.float64)),
            }
            yield pa.table(columns).cast(TOKEN_EFFECTS.schema)


def open_simulator(*, cache_dir: Path | str | None = None, **options: Any) -> SimulatorSource:
    """A simulator from loose options (see `SimulatorConfig`; faults as text are read).

    Raises:
        SimulatorConfigError: If an option is unknown or impossible.
    """
    return SimulatorSource(config_from(**options), cache_dir=cache_dir)


def _clean(rows: pa.Table) -> SourceBatch:
    return SourceBatch(rows, QUARANTINE.schema.empty_table())


def _between(rows: pa.Table, start: datetime, end: datetime) -> pa.Table:
    """Rows of a window; they are in known order."""
    known = rows.column("known_at").to_numpy()
    low, high = np.searchsorted(known, np.array([start, end], "datetime64[us]"))
    return rows.slice(int(low), int(high - low))


def _batches(parts: Iterable[SourceBatch]) -> Iterator[SourceBatch]:
    """The same rows in fewer, larger batches."""
    held: list[SourceBatch] = []
    size = 0
    for part in parts:
        if not part.num_source_rows:
            continue
        held.append(part)
        size += part.num_source_rows
        if size >= _BATCH_ROWS:
            yield _joined(held)
            held, size = [], 0
    if held:
        yield _joined(held)


def _joined(parts: list[SourceBatch]) -> SourceBatch:
    if len(parts) == 1:
        return parts[0]
    return SourceBatch(
        pa.concat_tables([p.rows for p in parts]), pa.concat_tables([p.rejected for p in parts])
    )
