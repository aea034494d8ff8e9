"""What was read of a chain, kept between runs in one SQLite file.

Here: logs, the blocks they are in, and up to which block each contract was read. Not here: asking for them
(`sources.ethereum.reading`). It is a cache: when it is removed, the chain is read again.

A range is written in one transaction with the mark that it was read, so a process that is killed leaves whole ranges.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sources.ethereum.chain import Block
from sources.ethereum.log import Log

_TABLES = """
create table if not exists blocks (
    number integer primary key, hash text not null, parent text not null, time integer not null, bloom blob not null
);
create index if not exists blocks_by_time on blocks (time);
create table if not exists logs (
    block_number integer not null, log_index integer not null, tx_index integer not null, tx_hash text not null,
    address text not null, topics text not null, data blob not null, primary key (block_number, log_index)
) without rowid;
create table if not exists read_until (contract text primary key, block integer not null) without rowid;
create table if not exists notes (name text primary key, value text not null) without rowid;
"""
_BATCH = 5_000


class Store:
    """The file. Several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Args:
            path: The file; its folder is made.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        # One connection as long as the store: closing the last one moves the journal into the file each time.
        self._con = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._con.execute("pragma journal_mode = wal")
        self._con.execute("pragma synchronous = normal")
        self._con.executescript(_TABLES)

    def note(self, name: str) -> str | None:
        """A value that was kept under a name."""
        row = self._con.execute("select value from notes where name = ?", [name]).fetchone()
        return None if row is None else str(row[0])

    def keep_note(self, name: str, value: str) -> None:
        """Keep a value under a name."""
        self._con.execute("insert or replace into notes values (?, ?)", [name, value])

    def read_until(self, contracts: Sequence[str]) -> dict[str, int]:
        """Contract → last block up to which its logs were read; contracts that were never read are missing."""
        marks = ", ".join("?" * len(contracts))
        rows = self._con.execute(
            f"select contract, block from read_until where contract in ({marks})", list(contracts)
        )
        return {contract: int(block) for contract, block in rows}

    def keep(
        self, contracts: Sequence[str], until: int, blocks: Iterable[Block], logs: Iterable[Log]
    ) -> None:
        """Keep what was read of some contracts up to a block, in one transaction."""
        with self._con:  # rolls back when something fails in between
            self._con.execute("begin immediate")
            self._con.executemany(
                "insert or ignore into blocks values (?, ?, ?, ?, ?)",
                [(b.number, b.hash, b.parent, b.time, b.bloom.to_bytes(256, "big")) for b in blocks],
            )
            self._con.executemany(
                "insert or ignore into logs values (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        g.block_number,
                        g.log_index,
                        g.tx_index,
                        g.tx_hash,
                        g.address,
                        " ".join(g.topics),
                        g.data,
                    )
                    for g in logs
                ],
            )
            self._con.executemany(
                "insert into read_until values (?, ?) on conflict do update set block = max(block, excluded.block)",
                [(contract, until) for contract in contracts],
            )

    def newest_block(self) -> tuple[int, str] | None:
        """Height and hash of the newest block that was kept."""
        row = self._con.execute("select number, hash from blocks order by number desc limit 1").fetchone()
        return None if row is None else (int(row[0]), str(row[1]))

    def transactions(self, first_time: int, end_time: int) -> Iterator[tuple[int, list[Log]]]:
        """(unix seconds of the block, logs) of each transaction with first_time <= time < end_time, in their order."""
        query = """
            select b.time, g.block_number, b.hash, g.tx_hash, g.tx_index, g.log_index, g.address, g.topics, g.data
            from logs g join blocks b on b.number = g.block_number
            where g.block_number between
                (select min(number) from blocks where time >= ?) and (select max(number) from blocks where time < ?)
            order by g.block_number, g.log_index
        """
        cursor = self._con.execute(query, [first_time, end_time])
        held: list[Log] = []
        held_time = 0
        while rows := cursor.fetchmany(_BATCH):
            for time, number, block_hash, tx_hash, tx_index, log_index, address, topics, data in rows:
                if held and held[0].tx_hash != tx_hash:
                    yield held_time, held
                    held = []
                held_time = time
                held.append(
                    Log(
                        address,
                        tuple(topics.split()),
                        data,
                        number,
                        block_hash,
                        tx_hash,
                        tx_index,
                        log_index,
                    )
                )
        if held:
            yield held_time, held

    def logs_of(self, address: str, before_time: int) -> Iterator[Log]:
        """The logs of one contract before a time (unix seconds), in their order."""
        query = """
            select g.block_number, b.hash, g.tx_hash, g.tx_index, g.log_index, g.topics, g.data
            from logs g join blocks b on b.number = g.block_number
            where g.address = ? and b.time < ? order by g.block_number, g.log_index
        """
        for number, block_hash, tx_hash, tx_index, log_index, topics, data in self._con.execute(
            query, [address, before_time]
        ):
            yield Log(address, tuple(topics.split()), data, number, block_hash, tx_hash, tx_index, log_index)

    def counts(self) -> tuple[int, int]:
        """Blocks and logs that are kept."""
        blocks, logs = self._con.execute(
            "select (select count(*) from blocks), (select count(*) from logs)"
        ).fetchone()
        return int(blocks), int(logs)
