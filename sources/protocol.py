"""What a source is: the small interface that every adapter implements.

Here: the protocol and the batch it yields. Not here: the columns (`sources.contract`) and the rules
(`sources.validation`). A source is read in windows of `known_at`, so that reading day by day and reading
everything at once give the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pyarrow as pa

    from sources.contracts import SharedContract


class SourceError(Exception):
    """A source cannot be read as asked; the message says what was expected, what was found, what to do.

    Attributes:
        exit_code: Exit code of a command that ends with it: 2 for a wrong setting or input, 1 when nothing was read.
    """

    exit_code = 2


@dataclass(frozen=True)
class SourceBatch:
    """Rows of one raw table for a window of time.

    Attributes:
        rows: Valid rows in the table's contract schema.
        rejected: Rows that broke a rule, in the quarantine schema.
    """

    rows: pa.Table
    rejected: pa.Table

    @property
    def num_source_rows(self) -> int:
        """Rows the source had for this window: kept plus rejected."""
        return int(self.rows.num_rows + self.rejected.num_rows)


@runtime_checkable
class Source(Protocol):
    """Anything that yields the market's events."""

    name: str

    def watermark(self) -> datetime:
        """Everything known before this time can be read (UTC, naive)."""

    def first_known(self) -> datetime:
        """No row is known before this time (UTC, naive)."""

    def read(self, table: str, start: datetime, end: datetime) -> Iterator[SourceBatch]:
        """Rows of a raw table with start <= known_at < end, in known order."""


@runtime_checkable
class TruthfulSource(Source, Protocol):
    """A source that also knows the true value of every token: the simulator."""

    def truth(self, table: str) -> Iterator[pa.Table]:
        """Rows of a truth table up to the watermark, replacing all earlier ones."""


@runtime_checkable
class ReportingSource(Source, Protocol):
    """A source that can say what it did not use."""

    def left_out(self) -> list[str]:
        """Lines for people, each naming once what was not used and why."""


@dataclass(frozen=True)
class Incident:
    """Something that happened to a source, and is over or not.

    Attributes:
        number: Its number in the source.
        kind: Machine word.
        what: For people: what was expected, what was found.
        opened_at: When it was noticed (UTC, naive).
        closed_at: When it was over; None: it is not.
    """

    number: int
    kind: str
    what: str
    opened_at: datetime
    closed_at: datetime | None


@runtime_checkable
class WatchedSource(Source, Protocol):
    """A source that notes what happens to it."""

    def incidents(self) -> list[Incident]:
        """All incidents, the oldest first."""


@runtime_checkable
class IdentifyingSource(Source, Protocol):
    """A source whose user named contracts that keep many collections."""

    shared_contracts: Sequence[SharedContract]
