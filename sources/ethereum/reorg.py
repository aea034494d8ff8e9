"""Replacing blocks in the store, and what is noted about it.

Here: which blocks are not final, writing readings of them, incidents. Not here: asking nodes
(`sources.ethereum.recent`).

A replacement was read whole before anything is written. The blocks that it replaces keep their logs; they are marked
with the hash of the block in their place, in the same transaction. Nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sources.ethereum.chain import Block
from sources.ethereum.log import Log
from sources.ethereum.store import Store, block_values, insert_logs
from sources.protocol import Incident

RECHECK_AFTER_S = (60, 300, 600, 1800, 3600)
"""A block that is not final is read again this long after it was first read; and once when it is final."""

REORG = "chain_reorganised"
DOUBT = "node_doubtful"


@dataclass(frozen=True, slots=True)
class Provisional:
    """A block that stands in the store and is not final.

    Attributes:
        number: Height.
        hash: Its hash.
        seen: When it was first read (unix seconds of our clock).
        checks: How many of the times to read it again have passed.
        n_logs: Logs of the whole block; None: its bloom showed that it has none of ours.
    """

    number: int
    hash: str
    seen: int
    checks: int
    n_logs: int | None

    def checks_at(self, now: int) -> int:
        """How many of the times to read it again have passed now."""
        return sum(now - self.seen >= after for after in RECHECK_AFTER_S)


@dataclass(frozen=True, slots=True)
class BlockReading:
    """A block as it was read whole.

    Attributes:
        block: Its header.
        logs: Its logs that are kept.
        n_logs: All its logs; None: its bloom showed that it has none of ours.
    """

    block: Block
    logs: Sequence[Log]
    n_logs: int | None


def provisional_blocks(store: Store) -> dict[int, Provisional]:
    """Height → the block that stands there and is not final."""
    rows = store.con.execute(
        "select number, hash, seen, checks, n_logs from blocks where not final and replaced_by is null order by number"
    )
    return {row[0]: Provisional(*row) for row in rows}


def write(
    store: Store,
    readings: Sequence[BlockReading],
    *,
    finals: Collection[int],
    known: int,
    now: int,
    new_contracts: bool,
) -> None:
    """Write what was read, in one transaction; blocks in whose place others were found are marked.

    Args:
        store: The store.
        readings: Blocks that were read whole, of one chain.
        finals: Heights whose blocks are final by now, and were found to be those that stand after this.
        known: When replacements and late logs become known (unix seconds): not before the head they came with.
        now: Unix seconds of our clock.
        new_contracts: Whether contracts are watched that were not when the blocks were read before.
    """
    replaced: list[tuple[int, str, str]] = []
    late: list[int] = []
    with store.con as con:
        con.execute("begin immediate")
        for reading in sorted(readings, key=lambda r: r.block.number):
            block = reading.block
            old = con.execute(
                "select hash from blocks where number = ? and replaced_by is null", [block.number]
            ).fetchone()
            held = con.execute(
                "select seen, n_logs from blocks where number = ? and hash = ?", [block.number, block.hash]
            ).fetchone()
            if old is not None and old[0] != block.hash:
                replaced.append((block.number, old[0], block.hash))
                con.execute(
                    "update blocks set replaced_by = ? where number = ? and hash = ?",
                    [block.hash, block.number, old[0]],
                )
            if held is None:
                known_from = block.time if old is None else max(block.time, known)
                con.execute(
                    "insert into blocks (number, hash, parent, time, bloom, known, final, seen, n_logs)"
                    " values (?, ?, ?, ?, ?, ?, false, ?, ?)",
                    [*block_values(block), known_from, now, reading.n_logs],
                )
                insert_logs(con, reading.logs)
                continue
            con.execute(
                "update blocks set replaced_by = null, checks = ?, n_logs = coalesce(?, n_logs)"
                " where number = ? and hash = ?",
                [
                    Provisional(block.number, block.hash, held[0] or now, 0, None).checks_at(now),
                    reading.n_logs,
                    block.number,
                    block.hash,
                ],
            )
            before = con.total_changes
            insert_logs(con, reading.logs, None if new_contracts else known)
            if con.total_changes > before and not new_contracts:
                late.append(block.number)
        con.executemany(
            "update blocks set final = true where number = ? and replaced_by is null",
            [(number,) for number in finals],
        )
        # Blocks that hold nothing of ours are kept as long as they can be replaced.
        con.executemany(
            "delete from blocks where number = ? and final and replaced_by is null and not exists"
            " (select * from logs where block_number = blocks.number and block_hash = blocks.hash)",
            [(number,) for number in finals],
        )
        _note(store, replaced, late, now)


def doubt(store: Store, what: str, now: int) -> None:
    """Note that what nodes answer is not believed. One incident, until they are believed again."""
    with store.con as con:
        con.execute("begin immediate")
        changed = con.execute(
            "update incidents set what = ? where kind = ? and closed_at is null", [what, DOUBT]
        ).rowcount
        if not changed:
            con.execute("insert into incidents (kind, what, opened_at) values (?, ?, ?)", [DOUBT, what, now])


def believe(store: Store, now: int) -> None:
    """Note that what nodes answer is believed again."""
    store.con.execute("update incidents set closed_at = ? where closed_at is null", [now])


def incidents(store: Store) -> list[Incident]:
    """All incidents, the oldest first."""
    rows = store.con.execute("select id, kind, what, opened_at, closed_at from incidents order by id")
    return [
        Incident(number, kind, what, _moment(opened), None if closed is None else _moment(closed))
        for number, kind, what, opened, closed in rows
    ]


def _note(store: Store, replaced: Sequence[tuple[int, str, str]], late: Sequence[int], now: int) -> None:
    """Close the open incident; a reorganisation that ended it is part of it, else it is an incident of its own."""
    what = []
    if replaced:
        numbers = [number for number, _, _ in replaced]
        what.append(
            f"blocks {min(numbers)} to {max(numbers)} were replaced ({len(numbers)} blocks): the first was "
            f"{replaced[0][1]} and is {replaced[0][2]}"
        )
    if late:
        what.append(f"a node had left out logs of block {', '.join(map(str, late))}")
    text = "; ".join(what)
    closed = store.con.execute(
        "update incidents set closed_at = ?, what = what || ? where closed_at is null",
        [now, f". Then: {text}" if text else ""],
    ).rowcount
    if text and not closed:
        kind = REORG if replaced else DOUBT
        store.con.execute(
            "insert into incidents (kind, what, opened_at, closed_at) values (?, ?, ?, ?)",
            [kind, text, now, now],
        )


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
