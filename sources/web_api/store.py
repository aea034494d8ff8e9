"""What was read of an API, kept between runs in one SQLite file.

Here: items as they were delivered, up to where each stream was read, which listed items are there. Not here: asking
(`sources.web_api.paging`), what items mean (`sources.web_api.rows`).

A page is kept in one transaction with the place where it stands, so a process that is killed goes on after the last
whole page. Times are Unix time in microseconds. When the file is removed, the API is read again; what an API does not
keep, such as listings that have ended, is gone then.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# items.event: when it happened; items.known: from when its rows are known; items.ends: when it ends by itself.
# links: what an item belongs to (an order, a transaction), so that all items of it can be found.
# standing: items of lists of what stands. absent: time of the first whole reading without it; gone: of the second.
_TABLES = """
create table if not exists items (
    id integer primary key, stream text not null, key text not null, digest text not null, body text not null,
    event integer, known integer not null, ends integer, unique (stream, key, digest)
);
create index if not exists items_by_known on items (known);
create index if not exists items_by_end on items (ends) where ends is not null;
create table if not exists links (link text not null, item integer not null, primary key (link, item)) without rowid;
create index if not exists links_by_item on links (item);
create table if not exists standing (
    stream text not null, key text not null, last integer not null, absent integer, gone integer,
    primary key (stream, key)
) without rowid;
create index if not exists standing_gone on standing (gone) where gone is not null;
create table if not exists read_until (stream text primary key, time integer not null) without rowid;
create table if not exists places (stream text primary key, place text not null) without rowid;
create table if not exists incidents (
    id integer primary key, stream text not null, what text not null, opened_at integer not null, closed_at integer
);
"""
_ITEM = "i.id, i.stream, i.key, i.digest, i.body, i.event, i.known, i.ends"


@dataclass(frozen=True)
class Item:
    """One item of a list.

    Attributes:
        stream: Name of the stream.
        key: Names it in the stream.
        digest: Of the values that are used.
        body: As it was delivered, numbers as text.
        event: When it happened, in microseconds; None: it does not say, or not readably.
        known: From when its rows are known, in microseconds.
        ends: When it ends by itself, in microseconds.
        links: What it belongs to.
        number: Its number in the store; 0: not kept yet.
    """

    stream: str
    key: str
    digest: str
    body: Any
    event: int | None
    known: int
    ends: int | None = None
    links: Sequence[str] = field(default=())
    number: int = 0


class Store:
    """The file. Several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it; its folder is made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.con = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self.con.execute("pragma journal_mode = wal")
        self.con.execute("pragma synchronous = normal")
        self.con.executescript(_TABLES)

    def keep(self, stream: str, items: Iterable[Item], place: Mapping[str, Any] | None) -> int:
        """Keep a page and the place where its reading stands, in one transaction; returns how many items are new."""
        new = 0
        with self.con:  # rolls back when something fails in between
            self.con.execute("begin immediate")
            for item in items:
                row = self.con.execute(
                    "insert or ignore into items (stream, key, digest, body, event, known, ends)"
                    " values (?, ?, ?, ?, ?, ?, ?) returning id",
                    [stream, item.key, item.digest, json.dumps(item.body), item.event, item.known, item.ends],
                ).fetchone()
                if row is not None:
                    new += 1
                    self.con.executemany(
                        "insert into links values (?, ?)", [(link, row[0]) for link in item.links]
                    )
            self._keep_place(stream, place)
        return new

    def finish(self, stream: str, until: int) -> None:
        """A stretch of a stream was read whole, up to this time."""
        with self.con:
            self.con.execute("begin immediate")
            self._finish(stream, until)

    def finish_standing(self, stream: str, keys: Iterable[str], now: int) -> None:
        """A list of what stands was read whole at this time, with items of these keys.

        An item that is absent twice in a row is gone: one reading can miss one.
        """
        with self.con:
            self.con.execute("begin immediate")
            self.con.executemany(
                "insert into standing (stream, key, last) values (?, ?, ?) on conflict do update set"
                " last = excluded.last, absent = null where gone is null",
                [(stream, key, now) for key in keys],
            )
            absent = "stream = :stream and last < :now and gone is null"
            given = {"stream": stream, "now": now}
            self.con.execute(
                f"update standing set gone = :now where {absent} and absent is not null and absent < :now",
                given,
            )
            self.con.execute(f"update standing set absent = :now where {absent} and absent is null", given)
            self._finish(stream, now)

    def _finish(self, stream: str, until: int) -> None:
        self.con.execute(
            "insert into read_until values (?, ?) on conflict do update set time = max(time, excluded.time)",
            [stream, until],
        )
        self._keep_place(stream, None)

    def _keep_place(self, stream: str, place: Mapping[str, Any] | None) -> None:
        if place is None:
            self.con.execute("delete from places where stream = ?", [stream])
        else:
            self.con.execute("insert or replace into places values (?, ?)", [stream, json.dumps(place)])

    def place(self, stream: str) -> dict[str, Any]:
        """Where the reading of a stream stands in the middle of a stretch; empty between two."""
        row = self.con.execute("select place from places where stream = ?", [stream]).fetchone()
        return dict(json.loads(row[0])) if row else {}

    def read_until(self) -> dict[str, int]:
        """Stream → time up to which it was read."""
        return {str(stream): int(time) for stream, time in self.con.execute("select * from read_until")}

    def stands(self, stream: str) -> int:
        """How many items of a list stood at the last reading."""
        row = self.con.execute(
            "select count(*) from standing where stream = ? and absent is null and gone is null", [stream]
        ).fetchone()
        return int(row[0])

    def items(self, streams: Sequence[str], first: int, end: int) -> Iterator[Item]:
        """Items with first <= known < end, in known order."""
        yield from self._items(
            f"where i.stream in ({_marks(streams)}) and i.known >= ? and i.known < ? order by i.known, i.key, i.id",
            [*streams, first, end],
        )

    def related(self, link: str, streams: Sequence[str], first: int, end: int) -> dict[str, list[Item]]:
        """Every link of a kind that something happened to in first <= time < end → all its items, in known order.

        Args:
            link: Kind of the link: `order` is that of links such as `order:0x…`.
            streams: Streams of the items.
            first: From this time on.
            end: Before this time.
        """
        touched = """
            select l.link from items i join links l on l.item = i.id
            where l.link >= :low and l.link < :high and i.id in (
                select id from items where known >= :first and known < :end
                union select id from items where ends >= :first and ends < :end
                union select m.id from items m join standing s on s.stream = m.stream and s.key = m.key
                    where s.gone >= :first and s.gone < :end
            )
        """
        rows = self.con.execute(
            f"select l.link, {_ITEM} from links l join items i on i.id = l.item where l.link in ({touched})"
            " order by i.known, i.id",
            {"low": f"{link}:", "high": f"{link};", "first": first, "end": end},
        )
        found: dict[str, list[Item]] = {}
        wanted = set(streams)
        for name, *row in rows:
            if row[1] in wanted:
                found.setdefault(str(name), []).append(_item(row))
        return found

    def gone(self, item: Item) -> tuple[int, int, int] | None:
        """When an item of a list stood last, was absent first, and was known to be gone; None: it stands."""
        row = self.con.execute(
            "select last, absent, gone from standing where stream = ? and key = ? and gone is not null",
            [item.stream, item.key],
        ).fetchone()
        return None if row is None else (int(row[0]), int(row[1]), int(row[2]))

    def _items(self, condition: str, given: Sequence[Any]) -> Iterator[Item]:
        for row in self.con.execute(f"select {_ITEM} from items i {condition}", list(given)):
            yield _item(row)

    def open_incident(self, stream: str, what: str, now: int) -> None:
        """Note that a stream cannot be read; of one that goes on, the beginning counts."""
        self.con.execute(
            "insert into incidents (stream, what, opened_at) select ?, ?, ?"
            " where not exists (select 1 from incidents where stream = ? and closed_at is null)",
            [stream, what, now, stream],
        )

    def close_incident(self, stream: str, now: int) -> None:
        """A stream was read again."""
        self.con.execute(
            "update incidents set closed_at = ? where stream = ? and closed_at is null", [now, stream]
        )

    def incidents(self) -> list[tuple[int, str, str, int, int | None]]:
        """Number, stream, what, opened and closed (microseconds) of all, the oldest first."""
        return self.con.execute(
            "select id, stream, what, opened_at, closed_at from incidents order by id"
        ).fetchall()


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _item(row: Sequence[Any]) -> Item:
    number, stream, key, digest, body, event, known, ends = row
    return Item(stream, key, digest, json.loads(body), event, known, ends, (), number)
