"""Which contracts are traded most: from the marketplaces' logs of the last days, decided once a day.

Here: counting, and the watch list that follows from it. Not here: reading the contracts (`sources.ethereum.reading`).

A day is decided from whole days before it, in blocks that are final, so every machine decides the same. Sales of a day
are counted once and kept. A contract that is not among the first any more is not read any further; what was read of it
stays.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sources.contracts import shared_contract
from sources.ethereum.chain import Block, Chain
from sources.ethereum.decoders import cryptopunks
from sources.ethereum.decoders.transactions import MARKET_OF, SALE_EVENTS, decode
from sources.ethereum.fetching import Fetcher, LogFilter
from sources.ethereum.log import Log
from sources.ethereum.store import Store

_LOG = logging.getLogger(__name__)
_DAY_S = 86_400
_SALES = LogFilter((*MARKET_OF, cryptopunks.ADDRESS), (*SALE_EVENTS, cryptopunks.BOUGHT))


class CountedTrades:
    """What was counted and decided, in the SQLite file of the source."""

    def __init__(self, store: Store) -> None:
        """Use the file of a source."""
        self._con = store.con

    def is_counted(self, day: int) -> bool:
        """Whether the sales of a day were counted."""
        return self._con.execute("select 1 from counted_days where day = ?", [day]).fetchone() is not None

    def keep_counts(self, day: int, counts: Mapping[str, int]) -> None:
        """Keep the sales of each contract on a day, in one transaction."""
        with self._con:
            self._con.execute("begin immediate")
            self._con.executemany(
                "insert or replace into trade_counts values (?, ?, ?)",
                [(day, contract, sales) for contract, sales in counts.items()],
            )
            self._con.execute("insert or replace into counted_days values (?)", [day])

    def counts_of(self, first: int, end: int) -> dict[str, int]:
        """Contract → sales on the days first <= day < end."""
        return dict(
            self._con.execute(
                "select contract, sum(sales) from trade_counts where day >= ? and day < ? group by contract",
                [first, end],
            ).fetchall()
        )

    def keep_chosen(self, day: int, contracts: Sequence[str]) -> None:
        """Keep that these contracts are watched on a day."""
        with self._con:
            self._con.execute("begin immediate")
            self._con.executemany(
                "insert into chosen_contracts values (?, ?, ?)"
                " on conflict do update set last_day = max(last_day, excluded.last_day)",
                [(contract, day, day) for contract in contracts],
            )

    def ever_chosen(self) -> list[str]:
        """All contracts that were watched on some day, in the order of their first one."""
        rows = self._con.execute("select contract from chosen_contracts order by first_day, contract")
        return [str(row[0]) for row in rows]


class MostTraded:
    """The contracts with most sales."""

    def __init__(
        self, chain: Chain, store: Store, fetcher: Fetcher, name: str, *, count: int, days: int
    ) -> None:
        """Count sales on the chain of this name: the first `count` contracts of `days` days are watched."""
        self._chain = chain
        self._counted = CountedTrades(store)
        self._fetcher = fetcher
        self._name = name
        self._count = count
        self._days = days

    def watched(self, head: Block) -> tuple[str, ...]:
        """The contracts that are watched on the day of a final block, the most traded first.

        Raises:
            SourceError: Nodes do not answer. The days that were counted are kept.
        """
        today = head.time // _DAY_S
        for day in range(today - self._days, today):
            if not self._counted.is_counted(day):
                self._counted.keep_counts(day, self._counts(day, head))
        counted = self._counted.counts_of(today - self._days, today)
        ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
        chosen = tuple(contract for contract, _ in ranked if self._may_be_watched(contract))[: self._count]
        self._counted.keep_chosen(today, chosen)
        return chosen

    def ever_watched(self) -> list[str]:
        """All contracts that were watched on some day."""
        return self._counted.ever_chosen()

    def _may_be_watched(self, contract: str) -> bool:
        shared = shared_contract(self._name, contract)
        return shared is None or shared.by != "name"

    def _counts(self, day: int, head: Block) -> Counter[str]:
        """Sales of each contract on a day (days since 1970)."""
        first = self._chain.first_at(day * _DAY_S, 0, head.number)
        last = self._chain.first_at((day + 1) * _DAY_S, first, head.number) - 1
        counts: Counter[str] = Counter()
        for logs in self._logs(first, last):
            for _, some in groupby(logs, key=lambda log: (log.block_number, log.tx_hash)):
                traded = {(t.contract, t.token_id) for t in decode(list(some), {}).trades if t.contract}
                counts.update(contract for contract, _ in traded)
        _LOG.info("%s: %s sales on day %s", self._name, counts.total(), day)
        return counts

    def _logs(self, first: int, last: int) -> Iterator[Sequence[Log]]:
        low = first
        while low <= last:
            high = min(low + self._fetcher.spans.of(self._chain.rpc.current) - 1, last)
            logs, endpoints = self._fetcher.logs(_SALES, low, high)
            if self._fetcher.set_aside_without_history(endpoints, first, last):
                continue  # another node is asked
            yield sorted(logs, key=lambda log: (log.block_number, log.log_index))
            low = high + 1


@dataclass(frozen=True, slots=True)
class WatchList:
    """Contracts that are read, and those that were.

    Attributes:
        now: Watched now.
        left: Watched before: what was read of them is still delivered.
    """

    now: tuple[str, ...]
    left: frozenset[str] = frozenset()


def watch_list(
    chain: Chain,
    store: Store,
    fetcher: Fetcher,
    name: str,
    configured: Sequence[str],
    most_traded: tuple[int, int] | None,
    head: Block,
) -> WatchList:
    """The contracts that a user named and the most traded ones.

    Args:
        chain: The chain.
        store: Remembers what was counted and decided.
        fetcher: Logs of its nodes.
        name: Its name.
        configured: Contracts that a user named.
        most_traded: How many others, and of how many days; None: none.
        head: A final block, of whose day the list is.

    Raises:
        SourceError: Nodes do not answer.
    """
    if most_traded is None:
        return WatchList(tuple(configured))
    count, days = most_traded
    traded = MostTraded(chain, store, fetcher, name, count=count, days=days)
    now = tuple(dict.fromkeys((*configured, *traded.watched(head))))
    return WatchList(now, frozenset(traded.ever_watched()) - frozenset(now))
