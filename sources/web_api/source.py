"""A paged API as a `Source`.

Here: bringing the store up to date, windows of known time, and streams that fail. Not here: pages
(`sources.web_api.paging`), and what items mean, which each kind of source says by a function.

A stream that fails does not stop the others: it is an incident until it is read again. Only when none can be read the
source cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from sources.contract import raw_table
from sources.protocol import Incident, SourceBatch, SourceError
from sources.web_api.client import ApiClient, ApiRefusedError
from sources.web_api.paging import MICROS, StreamReader
from sources.web_api.rows import Record, batch_of, moment
from sources.web_api.store import Store
from sources.web_api.streams import DAY_S, Stream

Decoder = Callable[[Store, str, int, int], Iterable[Record]]
"""(store, raw table, first, end) → its rows with first <= known < end (microseconds)."""


def _wall_clock() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class WebApiSource:
    """Streams of one API."""

    def __init__(
        self,
        name: str,
        client: ApiClient,
        streams: Sequence[Stream],
        decode: Decoder,
        *,
        start: str,
        cache: Path,
        chain: str = "ethereum",
        settle_s: int = 60,
        left_out: Sequence[str] = (),
        now: Callable[[], datetime] = _wall_clock,
    ) -> None:
        """Describe what is read; the API is asked when the source is first read.

        Args:
            name: Name of the kind of source.
            client: The API.
            streams: What is asked of it.
            decode: What items mean.
            start: First day (ISO 8601).
            cache: Folder of the store.
            chain: Chain of rows that name none.
            settle_s: Seconds behind the present up to which is read.
            left_out: What a user should know about what is not read.
            now: The current time (UTC, naive).
        """
        self.name = name
        self._client = client
        self._streams = tuple(streams)
        self._decode = decode
        self._start = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp())
        self._cache = cache
        self._chain = chain
        self._settle_s = settle_s
        self._left_out = tuple(left_out)
        self._now = now

    @cached_property
    def _store(self) -> Store:
        return Store(self._cache / "api.sqlite")

    @cached_property
    def _until(self) -> int:
        """Unix seconds up to which this process reads: the server's clock or ours, the earlier, less the margin."""
        first = self._streams[0]
        ours = int(self._now().replace(tzinfo=UTC).timestamp())
        hour = first.window.params(ours - 3600, ours) if first.window else {}
        # Also a refusal states the server's clock; it becomes an incident when the stream is read.
        with suppress(ApiRefusedError):
            self._client.get(first.path, {**first.params, **hour})
        stated = self._client.clock
        if stated is not None:
            theirs = int(stated.replace(tzinfo=UTC).timestamp())
            if abs(theirs - ours) > DAY_S:
                raise SourceError(
                    f"expected the clock of {self._client.host} to be near ours ({self._now():%Y-%m-%d %H:%M} UTC), "
                    f"found {stated:%Y-%m-%d %H:%M} UTC: set the clock that is wrong"
                )
            ours = min(ours, theirs)
        return max(ours - self._settle_s, self._start)

    @cached_property
    def _read_to(self) -> int:
        """Bring the store up to date, once in a process; returns the time up to which something was read."""
        reader = StreamReader(self._client, self._store, start=self._start, until=self._until)
        problems: list[SourceError] = []
        now = self._until * MICROS
        for stream in self._streams:
            try:
                reader.read(stream)
            except SourceError as problem:
                problems.append(problem)
                self._store.open_incident(stream.name, str(problem), now)
            else:
                self._store.close_incident(stream.name, now)
        if len(problems) == len(self._streams):
            raise problems[0]
        marks = self._store.read_until()
        return max(marks.get(stream.name, self._start * MICROS) for stream in self._streams)

    def watermark(self) -> datetime:
        """What was known up to this time can be read.

        Raises:
            SourceError: The API does not answer. What was read before is kept.
        """
        return moment(self._read_to + 1)

    def first_known(self) -> datetime:
        """The start."""
        return moment(self._start * MICROS)

    def read(self, table: str, start: datetime, end: datetime) -> Iterator[SourceBatch]:
        """Rows of a raw table with start <= known_at < end; never past the watermark.

        Raises:
            UnknownTableError: If the contract has no such table.
            SourceError: The API does not answer.
        """
        raw_table(table)
        end = min(end, self.watermark())
        if start >= end:
            return
        batch = batch_of(
            table,
            self._decode(self._store, table, _micros(start), _micros(end)),
            source=self.name,
            chain=self._chain,
            now=max(self._now(), self.watermark()),
        )
        if batch is not None:
            yield batch

    def left_out(self) -> list[str]:
        """What a user should know about what is not read."""
        return list(self._left_out)

    def incidents(self) -> list[Incident]:
        """Streams that could not be read."""
        return [
            Incident(
                number,
                f"not_read:{stream}",  # several streams can fail at one time
                f"{stream}: {what}",
                moment(opened),
                None if closed is None else moment(closed),
            )
            for number, stream, what, opened, closed in self._store.incidents()
        ]


def _micros(time: datetime) -> int:
    exact = time.replace(tzinfo=UTC)
    return int(exact.timestamp()) * MICROS + exact.microsecond
