"""What a publication is written to, whatever keeps it.

Here: the protocol, and what is passed through it. Not here: SQLite files (`sqlite.target`), PostgreSQL
(`postgres.target`), or which of them (`location`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import duckdb

from serving.store.files import Pointer
from serving.store.plan import Base, Contents, Plan
from serving.store.schema import FORMAT


@dataclass(frozen=True)
class Stamp:
    """When and how fresh a publication is.

    Attributes:
        now: Seconds since 1970.
        market_time: As-of time of the home (UTC, naive).
        lag_s: Seconds that the newest estimate is behind it.
        stale_after_s: Service level: age in seconds beyond which answers are called stale.
        market: Which market it is of; a store in a database holds one. Empty: not said.
    """

    now: float
    market_time: datetime
    lag_s: float
    stale_after_s: float
    market: str = ""

    def pointer(self, version: str, size: int, file: str = "", digest: str = "") -> Pointer:
        """The pointer to a version that was written now: `size` bytes, in a file if it is one."""
        return Pointer(
            format=FORMAT,
            version=version,
            file=file,
            bytes=size,
            digest=digest,
            published_at=self.now,
            confirmed_at=self.now,
            market_time=self.market_time.isoformat(),
            lag_s=self.lag_s,
            stale_after_s=self.stale_after_s,
        )


@dataclass(frozen=True)
class Changes:
    """What a new version is written from.

    Attributes:
        lake: A read connection of the lake.
        contents: What it holds.
        plan: What differs from the version before.
        reasons: Rows of reasons by the number of each collection whose reasons change; none where they go.
    """

    lake: duckdb.DuckDBPyConnection
    contents: Contents
    plan: Plan
    reasons: dict[int, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Written:
    """What writing a version did.

    Attributes:
        pointer: The version, which is current now.
        rows: Rows inserted or changed by table.
    """

    pointer: Pointer
    rows: dict[str, int]


class Target(Protocol):
    """Where versions are written, while no other publication runs."""

    def base(self) -> tuple[Base | None, str | None]:
        """The version to carry on, or None and why there is none."""
        ...

    def confirm(self, pointer: Pointer) -> None:
        """Say that the current version was seen to equal the lake again."""
        ...

    def write(
        self, changes: Changes, base: Base | None, stamp: Stamp, timed: Callable[[str], None]
    ) -> Written:
        """Make the next version, and make it current as a whole.

        Args:
            changes: What is written.
            base: The version carried on; None writes everything.
            stamp: When, and how fresh.
            timed: Called with the name of each stage when it ends.
        """
        ...
