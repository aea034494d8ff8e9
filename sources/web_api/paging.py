"""Reading one stream of an API up to a time: pages, windows, and cursors that cannot be trusted.

Here: which page is asked for next, and when a stretch of time is whole. Not here: one question
(`sources.web_api.client`), what is asked (`sources.web_api.streams`).

A stretch is read from its end backwards, as APIs list events. A cursor may repeat, end early or fail: the rest of the
stretch is then asked for by time, from the oldest item on. A stretch counts as read only when its pages ended with one
that was not full. Otherwise the reading fails, what was read is kept, and the next run asks again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sources.instants import read_times
from sources.protocol import SourceError
from sources.web_api.client import ApiClient, ApiRefusedError
from sources.web_api.paths import at, text_at
from sources.web_api.store import Item, Store
from sources.web_api.streams import DAY_S, Stream, Window

MICROS = 1_000_000
_MOST_PAGES = 10_000
"""Pages of one stretch: an API that never ends is not followed for ever."""

_FEW = 5
"""So many orders can all end between two readings."""


class IncompleteAnswerError(SourceError):
    """An API did not answer whole; the message says what was expected."""

    exit_code = 1


@dataclass
class _Pages:
    """What following one cursor gave.

    Attributes:
        oldest: Time of the oldest item (microseconds).
        whole: Whether the pages ended with one that was not full, or before the first time that was asked for.
        ended: Whether the API gave no further page.
        problem: What the API answered instead of a page.
    """

    oldest: int | None = None
    whole: bool = False
    ended: bool = False
    problem: SourceError | None = None


class StreamReader:
    """Reads streams of one API into a store."""

    def __init__(self, client: ApiClient, store: Store, *, start: int, until: int) -> None:
        """Read from `start` to `until` (Unix seconds, by the server's clock or ours, the earlier)."""
        self._client = client
        self._store = store
        self._start = start
        self._until = until

    def read(self, stream: Stream) -> None:
        """Bring a stream up to date.

        Raises:
            SourceError: The API does not answer, or not whole. What was read before is kept.
        """
        if stream.window is None:
            self._read_standing(stream)
            return
        for first, end, mark in self._stretches(stream, stream.window):
            self._read_stretch(stream, stream.window, first, end, mark)
            self._store.finish(stream.name, end * MICROS)

    def _stretches(self, stream: Stream, window: Window) -> Iterator[tuple[int, int, int | None]]:
        """Stretches of time that are missing, and up to where the stream was read before (seconds)."""
        held = self._store.read_until().get(stream.name)
        mark = None if held is None else held // MICROS
        first = self._start if mark is None else max(mark - window.overlap_s, self._start)
        until = self._until
        if window.lasts_s:
            until -= until % window.lasts_s  # what is not over is not read
        begun = self._store.place(stream.name)
        if begun and begun["end"] <= until:
            mark, first = begun["mark"], begun["end"]
            yield begun["first"], first, mark
        if first >= until or (mark is not None and mark >= until):
            return
        while first < until:
            end = min(first + window.span_s, until)
            yield first, end, mark
            first = end

    def _read_stretch(self, stream: Stream, window: Window, first: int, end: int, mark: int | None) -> None:
        end_asked = end
        while True:
            pages = self._follow(stream, window, first, end_asked, mark)
            if pages.whole:
                return
            # Seconds are asked for: the oldest item's own second once more, or others of it would be missed.
            following = None if pages.oldest is None else pages.oldest // MICROS + 1
            if following is None or following >= end_asked:
                if pages.problem is not None:
                    raise pages.problem
                if pages.ended:
                    return  # all of one second, and no more of it
                raise IncompleteAnswerError(
                    f"{self._client.host}: expected the pages of {stream.name} before {end_asked} to end, found a "
                    "cursor that repeats. What was read is kept: run again later"
                )
            end_asked = following

    def _follow(self, stream: Stream, window: Window, first: int, end: int, mark: int | None) -> _Pages:
        """Follow the cursor of one question, from where the last process stood."""
        result = _Pages()
        held = self._store.place(stream.name)
        cursor = held.get("cursor") if (held.get("first"), held.get("end")) == (first, end) else None
        resumed = cursor is not None
        seen: set[str] = set()
        for _ in range(_MOST_PAGES):
            params = {**stream.params, **window.params(first, end)}
            if cursor is not None and stream.cursor is not None:
                params[stream.cursor[0]] = cursor
            try:
                found, following = self._page(stream, params)
            except ApiRefusedError as problem:
                if not resumed:
                    result.problem = problem
                    return result
                resumed, cursor = False, None  # the place of an earlier process has expired
                continue
            except SourceError as problem:
                result.problem = problem
                return result
            resumed = False
            items = self._items(stream, found, mark)
            times = [item.event for item in items if item.event is not None]
            result.oldest = min(
                times if result.oldest is None else [*times, result.oldest], default=result.oldest
            )
            past = bool(times) and max(times) < first * MICROS
            over = following is None or past
            place = None
            if not over and following not in seen:
                place = {"first": first, "end": end, "mark": mark, "cursor": following}
            self._store.keep(stream.name, [item for item in items if self._is_wanted(item)], place)
            if over:
                result.ended = True
                result.whole = past or not stream.page_size or len(found) < stream.page_size
                return result
            assert following is not None
            if following in seen:
                return result
            seen.add(following)
            cursor = following
        return result

    def _page(self, stream: Stream, params: dict[str, str]) -> tuple[list[Any], str | None]:
        """The items of one page, and the cursor of the next one."""
        document = self._client.get(stream.path, params)
        found = at(document, stream.items)
        if isinstance(found, dict) and not stream.items:
            found = [found]
        if not isinstance(found, list):
            raise IncompleteAnswerError(
                f"{self._client.host}: expected a list at `{stream.items}` in the answer to {stream.path}, found "
                f"{type(found).__name__}: the API has changed its format"
            )
        following = text_at(document, stream.cursor[1]) if stream.cursor else None
        return found, following or None

    def _is_wanted(self, item: Item) -> bool:
        return item.event is None or item.event >= self._start * MICROS

    def _read_standing(self, stream: Stream) -> None:
        """Read a list of what stands now, whole."""
        now = self._until * MICROS
        before = self._store.read_until().get(stream.name)
        if before is not None and now - before < stream.every_s * MICROS:
            return
        keys: set[str] = set()
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(_MOST_PAGES):
            params = dict(stream.params)
            if cursor is not None and stream.cursor is not None:
                params[stream.cursor[0]] = cursor
            found, following = self._page(stream, params)
            items = self._items(stream, found, None if before is None else self._until)
            self._store.keep(stream.name, items, None)
            keys |= {item.key for item in items}
            if following is None:
                break
            if following in seen:
                raise IncompleteAnswerError(
                    f"{self._client.host}: expected the pages of {stream.name} to end, found a cursor that repeats"
                )
            seen.add(following)
            cursor = following
        else:
            raise IncompleteAnswerError(
                f"{self._client.host}: expected at most {_MOST_PAGES} pages of {stream.name}, found more"
            )
        stood = self._store.stands(stream.name)
        if not keys and stood > _FEW:
            raise IncompleteAnswerError(
                f"{self._client.host}: expected {stream.name} to list something, as it did before ({stood}), found "
                "nothing: an empty answer is not believed"
            )
        self._store.finish_standing(stream.name, keys, now)

    def _items(self, stream: Stream, found: Sequence[Any], mark: int | None) -> list[Item]:
        """Items of a page; those before the mark came late and are known now."""
        times = _times([text_at(one, stream.time) if stream.time else None for one in found])
        ends = _times([text_at(one, stream.ends) if stream.ends else None for one in found])
        now = self._until * MICROS
        lasts = (stream.window.lasts_s if stream.window else 0) * MICROS
        items = []
        for one, event, end in zip(found, times, ends, strict=True):
            # The close of an hour is known at its end.
            happened = event if event is None or not lasts else event - event % lasts + lasts
            # What has no time of its own holds from the start on, as far as the first reading can say.
            known = now if stream.time or mark is not None else self._start * MICROS
            if happened is not None and happened < now + DAY_S * MICROS:
                late = mark is not None and happened < mark * MICROS
                known = max(happened, now) if stream.window is None or late else happened
            if lasts and happened is not None and happened > now:
                continue  # not over: its last value comes later
            values = [text_at(one, path) for path in stream.key]
            used = [text_at(one, path) for path in stream.used] or one
            links = sorted({f"{n}:{v}" for n, p in stream.links.items() if (v := text_at(one, p))})
            named = "|".join(v or "" for v in values)
            if not named.strip("|"):
                named = _digest(one)  # an item without a name is named by what it holds
            items.append(Item(stream.name, named, _digest([named, used]), one, event, known, end, links))
        return items


def _times(texts: Sequence[str | None]) -> list[int | None]:
    """Times of a page in microseconds."""
    micros = {10: MICROS, 13: MICROS // 1000}
    if all(text is None or (len(text) in micros and text.isascii() and text.isdecimal()) for text in texts):
        # Unix time in s or ms, as most APIs write it, needs no database to be read.
        return [None if text is None else int(text) * micros[len(text)] for text in texts]
    moments = read_times(pa.chunked_array([pa.array(texts, pa.string())])).moments
    return [None if value is None else int(value) for value in moments.cast(pa.int64()).to_pylist()]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
