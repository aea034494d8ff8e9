"""What was read of a chain, kept between runs in one SQLite file.

Here: blocks, logs, and up to which block each contract was read. Not here: asking for them (`sources.ethereum.reading`,
`sources.ethereum.recent`), replacing blocks (`sources.ethereum.reorg`), the tables (`sources.ethereum.store_tables`).

A range is written in one transaction with the mark that it was read, so a process that is killed leaves whole ranges.
When the file is removed, the chain is read again; blocks that were replaced are in no node any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sources.ethereum.chain import Block, Standing
from sources.ethereum.log import Log
from sources.ethereum.store_tables import bring_up_to_date

_BATCH = 5_000
_BLOCK = "number, hash, parent, time, bloom"
_STANDING = "b.time, b.known, b.final, b.replaced_by"
_LOG = "g.address, g.topics, g.data, g.block_number, g.block_hash, g.tx_hash, g.tx_index, g.log_index"
_IN_WINDOW = """
    select number from blocks where known >= :first and known < :end
    union all select block_number from logs where known >= :first and known < :end
"""


class Store:
    """The file. Several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Args:
            path: The file; its folder is made.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        # One connection as long as the store: closing the last one moves the journal into the file each time.
        self.con = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        # Rows of some hundred bytes: with pages of 4 KB a new file would be three times as large. An old file stays.
        self.con.execute("pragma page_size = 16384")
        self.con.execute("pragma journal_mode = wal")
        self.con.execute("pragma synchronous = normal")
        bring_up_to_date(self.con)

    def note(self, name: str) -> str | None:
        """A value that was kept under a name."""
        row = self.con.execute("select value from notes where name = ?", [name]).fetchone()
        return None if row is None else str(row[0])

    def keep_note(self, name: str, value: str) -> None:
        """Keep a value under a name."""
        self.con.execute("insert or replace into notes values (?, ?)", [name, value])

    def read_until(self, contracts: Sequence[str]) -> dict[str, int]:
        """Contract → last final block up to which its logs were read; contracts never read are missing."""
        marks = ", ".join("?" * len(contracts))
        rows = self.con.execute(
            f"select contract, block from read_until where contract in ({marks})", list(contracts)
        )
        return {contract: int(block) for contract, block in rows}

    def keep(
        self, contracts: Sequence[str], until: int, blocks: Iterable[Block], logs: Iterable[Log]
    ) -> None:
        """Keep what was read of some contracts up to a final block, in one transaction."""
        with self.con:  # rolls back when something fails in between
            self.con.execute("begin immediate")
            for block in blocks:
                self.con.execute(
                    "update blocks set replaced_by = ? where number = ? and hash <> ? and replaced_by is null",
                    [block.hash, block.number, block.hash],
                )
                self.con.execute(
                    f"insert into blocks ({_BLOCK}, known, final) values (?, ?, ?, ?, ?, ?, true)"
                    " on conflict do update set final = true, replaced_by = null",
                    [*block_values(block), block.time],
                )
            insert_logs(self.con, logs)
            self.con.executemany(
                "insert into read_until values (?, ?) on conflict do update set block = max(block, excluded.block)",
                [(contract, until) for contract in contracts],
            )

    def newest_final(self) -> Block | None:
        """The newest block that was kept when it was final."""
        row = self.con.execute(
            f"select {_BLOCK} from blocks where final order by number desc limit 1"
        ).fetchone()
        return None if row is None else block_of(row)

    def newest_known(self) -> int | None:
        """The latest time (unix seconds) at which something that is kept became known."""
        row = self.con.execute(
            "select max(known) from (select max(known) as known from blocks"
            " union all select max(known) from logs where known is not null)"
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def transactions(
        self, first: int, end: int, *, replaced: bool = False
    ) -> Iterator[tuple[Standing, list[Log]]]:
        """The logs of each transaction, in their order, with the standing of its block.

        All transactions from the first to the last block with something known in first <= known < end (unix seconds):
        some of them may be known at other times.

        Args:
            first: Known from this time on.
            end: Known before this time.
            replaced: Whether those of replaced blocks are wanted, instead of those that stand.
        """
        query = f"""
            with bounds as (select min(number) as low, max(number) as high from ({_IN_WINDOW}))
            select {_STANDING}, g.known, {_LOG}
            from bounds cross join blocks b cross join logs g
            where b.number between bounds.low and bounds.high and b.replaced_by is {"not" if replaced else ""} null
                and g.block_number = b.number and g.block_hash = b.hash
            order by b.number, b.hash, g.log_index
        """
        cursor = self.con.execute(query, {"first": first, "end": end})
        held: list[Log] = []
        standing, late = Standing(0, 0), dict[int, int]()
        while rows := cursor.fetchmany(_BATCH):
            for time, known, final, replaced_by, log_known, *values in rows:
                log = log_of(values)
                if held and (held[0].block_hash, held[0].tx_hash) != (log.block_hash, log.tx_hash):
                    yield standing, held
                    held = []
                if not held:
                    late = {}
                    standing = Standing(time, known, bool(final), replaced_by, late)
                if log_known is not None:
                    late[log.log_index] = log_known
                held.append(log)
        if held:
            yield standing, held

    def first_block(self, first: int, end: int) -> int:
        """The lowest block of `transactions`; 0 when there is none."""
        row = self.con.execute(
            f"select min(number) from ({_IN_WINDOW})", {"first": first, "end": end}
        ).fetchone()
        return int(row[0] or 0)

    def logs_of(self, address: str, before: int, after: Sequence[str] = ()) -> Iterator[Log]:
        """The logs of one contract in the blocks that stand before a height, then in those with these hashes."""
        marks = ", ".join("?" * len(after))
        query = f"""
            select {_LOG} from logs g join blocks b on b.number = g.block_number and b.hash = g.block_hash
            where g.address = ? and (b.number < ? and b.replaced_by is null or b.hash in ({marks}))
            order by g.block_number, g.log_index
        """
        for row in self.con.execute(query, [address, before, *after]):
            yield log_of(row)

    def final_logs(self, address: str, after: int, until: int) -> Iterator[tuple[int, Log]]:
        """The logs of one contract in final blocks after a height up to another, and from when each is known."""
        query = f"""
            select coalesce(g.known, b.known), {_LOG}
            from logs g join blocks b on b.number = g.block_number and b.hash = g.block_hash
            where g.block_number > ? and g.block_number <= ? and g.address = ? and b.final and b.replaced_by is null
            order by g.block_number, g.log_index
        """
        for known, *values in self.con.execute(query, [after, until, address]):
            yield int(known), log_of(values)

    def logs_known(self, addresses: Sequence[str], first: int, end: int) -> Iterator[tuple[int, Log]]:
        """The logs of some contracts in final blocks with first <= known < end, and from when they are known."""
        marks = ", ".join("?" * len(addresses))
        query = f"""
            select b.known, {_LOG} from blocks b join logs g on b.number = g.block_number and b.hash = g.block_hash
            where b.known >= ? and b.known < ? and b.final and b.replaced_by is null and g.address in ({marks})
            order by b.known, g.block_number, g.log_index
        """
        for known, *values in self.con.execute(query, [first, end, *addresses]):
            yield int(known), log_of(values)

    def replaced_ancestors(self, block_hash: str) -> tuple[int, list[str]]:
        """The replaced blocks before a replaced one: the lowest height of the branch, and the hashes before it."""
        hashes: list[str] = []
        low = 0
        row = self._replaced(block_hash)
        while row is not None:
            low = int(row[0])
            row = self._replaced(row[1])
            if row is not None:
                hashes.append(str(row[2]))
        return low, hashes

    def _replaced(self, block_hash: str) -> tuple[int, str, str] | None:
        row: tuple[int, str, str] | None = self.con.execute(
            "select number, parent, hash from blocks where hash = ? and replaced_by is not null", [block_hash]
        ).fetchone()
        return row

    def manifest(self, first: int, end: int) -> Iterator[tuple[Block, Standing, int | None, int]]:
        """Blocks with first <= known < end, their standing, logs of the whole block, and logs that were kept.

        A final block without a kept log is left out.
        """
        query = f"""
            select {_STANDING}, b.n_logs, (
                select count(*) from logs g where g.block_number = b.number and g.block_hash = b.hash
            ) as kept, {_BLOCK}
            from blocks b where known >= ? and known < ?
                and (kept > 0 or not b.final or b.replaced_by is not null)
            order by known, number, hash
        """
        for time, known, final, replaced_by, n_logs, kept, *values in self.con.execute(query, [first, end]):
            yield block_of(values), Standing(time, known, bool(final), replaced_by), n_logs, kept

    def counts(self) -> tuple[int, int]:
        """Blocks and logs that are kept."""
        blocks, logs = self.con.execute(
            "select (select count(*) from blocks), (select count(*) from logs)"
        ).fetchone()
        return int(blocks), int(logs)


def block_values(block: Block) -> list[int | str | bytes]:
    """A block as it is kept."""
    return [block.number, block.hash, block.parent, block.time, block.bloom.to_bytes(256, "big")]


def block_of(row: Sequence[object]) -> Block:
    """A block from the columns number, hash, parent, time, bloom."""
    number, block_hash, parent, time, bloom = row
    assert isinstance(bloom, bytes)
    return Block(int(str(number)), str(block_hash), str(parent), int(str(time)), int.from_bytes(bloom, "big"))


def log_of(row: Sequence[object]) -> Log:
    """A log from the columns of `logs`, the address first."""
    address, topics, *rest = row
    return Log(str(address), tuple(str(topics).split()), *rest)  # type: ignore[arg-type]


def insert_logs(con: sqlite3.Connection, logs: Iterable[Log], known: int | None = None) -> None:
    """Keep logs that are not kept yet.

    Args:
        con: A connection inside a transaction.
        logs: The logs.
        known: When they became known (unix seconds), if not with their block.
    """
    con.executemany(
        "insert or ignore into logs values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                g.block_number,
                g.block_hash,
                g.log_index,
                g.tx_index,
                g.tx_hash,
                g.address,
                " ".join(g.topics),
                g.data,
                known,
            )
            for g in logs
        ],
    )
