"""One cell of the reorg matrix on a real node: what is traded, how the chain is reorganised, what nodes answer.

Here: trades of each marketplace in blocks that are replaced, and faulty nodes. Not here: what must hold
(`tests.integration.test_reorgs`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from sources.ethereum.decoders import blur, cryptopunks, looksrare, movements, seaport, x2y2
from sources.ethereum.log import Log
from sources.ethereum.rpc import Rpc
from sources.ethereum.source import EthereumSource
from sources.local_chain.assembly import CALLER, REPLAYER
from sources.local_chain.logs import (
    ALICE,
    BOB,
    ETH,
    NFT,
    NOWHERE,
    coin,
    inventory,
    moved,
    order,
    packed_sale,
    punk,
    taker_bid,
    token,
)
from sources.local_chain.node import CALLER_ADDRESS, GENESIS, Node, emission
from tests.chain.passage import Passage
from tests.chain.scripted import serving

DEPTHS = (1, 2, 7, 33, 64)
MARKETS = (seaport.NAME, blur.NAME, looksrare.NAME, x2y2.NAME, cryptopunks.NAME)
CHANGES = ("dropped", "moved", "repriced", "replaced", "omitted", "pruned", "lagging", "killed")
CONTRACTS = (NFT, cryptopunks.ADDRESS)
CONFIRMED = 64
"""Blocks: anvil's finalized block is two epochs of 32 behind the newest."""


@dataclass(frozen=True)
class Cell:
    """One case of the matrix: how many blocks are replaced, and what becomes of the sales, at each marketplace."""

    depth: int
    change: str

    def __str__(self) -> str:
        return f"{self.change}-{self.depth}"


MATRIX = [Cell(*case) for case in product(DEPTHS, CHANGES)]


class ReorgChain:
    """A chain on which sales are put into blocks that are replaced. Blocks are mined when a test says so."""

    def __init__(self, node: Node) -> None:
        self.node = node
        for address in (*CONTRACTS, *(sale[-1].address for sale in map(_first_sale, MARKETS))):
            node.put_code(address, REPLAYER)
        node.put_code(CALLER_ADDRESS, CALLER)
        node.call("evm_setAutomine", False)
        node.mine(CONFIRMED + 2)
        self.snapshot = node.call("evm_snapshot")

    @property
    def height(self) -> int:
        """Number of the newest block."""
        return int(self.node.call("eth_blockNumber"), 16)

    def begin(self) -> int:
        """The chain without the trades of earlier cells, which would become too long for anvil to reorganise."""
        self.node.call("evm_revert", self.snapshot)
        self.snapshot = self.node.call("evm_snapshot")
        return 1

    def trade(self, cell: Cell) -> None:
        """Sales that stay, and below the head as many blocks as will be replaced, sales in the first and last."""
        self.block_with(self.transactions(5))
        self.first = self.transactions(1)
        self.signed_first = self.block_with(self.first)
        if cell.depth > 2:
            self.node.mine(cell.depth - 2)
        self.signed_second = self.block_with(self.transactions(2)) if cell.depth > 1 else []

    def reorganise(self, cell: Cell) -> None:
        """Replace the newest blocks as the cell says."""
        last = cell.depth - 1
        placed: list[tuple[Any, int]] = [(signed, last) for signed in self.signed_second]
        if cell.change == "dropped":
            placed = []
        elif cell.change == "repriced":
            placed += [(tx, 0) for tx in self.transactions(1, ETH // 2, in_place_of=self.first)]
        elif cell.change == "replaced":
            placed += [(tx, 0) for tx in self.transactions(1, first_token=900, in_place_of=self.first)]
        else:
            filler = self.transactions(3, in_place_of=[])
            placed = [(signed, 0) for signed in self.signed_second] + [(tx, 0) for tx in filler]
            placed += [(signed, last) for signed in self.signed_first]
        self.node.call("anvil_reorg", cell.depth, [list(one) for one in placed])

    def block_with(self, transactions: Sequence[dict[str, Any]]) -> list[str]:
        """Mine a block with these transactions; returns them as they were signed."""
        hashes = [self.node.call("eth_sendTransaction", one) for one in transactions]
        self.node.mine(1)
        return [self.node.call("eth_getRawTransactionByHash", one) for one in hashes]

    def transactions(
        self,
        account: int,
        price: int = ETH,
        *,
        first_token: int = 0,
        in_place_of: Sequence[dict[str, Any]] | None = None,
    ) -> list[dict[str, Any]]:
        """Transactions of a sale at each marketplace; numbered by their sender where they are put into a block.

        Args:
            account: Who sends them. Each account sells tokens of its own.
            price: Price of the first sale; each one after it costs 1 wei more.
            first_token: Added to the numbers of the tokens.
            in_place_of: Earlier transactions of this account that a reorganisation removes.
        """
        sender = self.node.accounts[account]
        found = [
            {"from": sender, "to": CALLER_ADDRESS, "data": "0x" + emission(logs).hex(), "gas": hex(3_000_000)}
            for n, market in enumerate(MARKETS)
            for logs in _sale(market, first_token + 10 * account + n, price + n)
        ]
        if in_place_of is not None:
            nonce = int(self.node.call("eth_getTransactionCount", sender, "latest"), 16) - len(in_place_of)
            found = [{**one, "nonce": hex(nonce + n)} for n, one in enumerate(found)]
        return found


def _sale(market: str, number: int, price: int) -> list[list[Log]]:
    """The logs of one sale, by transaction. A punk is sold to a bid of a transaction before."""
    move = moved(ALICE, BOB, number)
    if market == cryptopunks.NAME:
        return [
            [punk(cryptopunks.BID_ENTERED, (number, BOB), price)],
            [
                punk(movements.TRANSFER, (ALICE, BOB), 1),
                punk(cryptopunks.BOUGHT, (number, ALICE, NOWHERE), 0),
            ],
        ]
    logs = {
        seaport.NAME: lambda: order(ALICE, BOB, [token(number)], [coin(price, ALICE)], number=number),
        blur.NAME: lambda: packed_sale(NFT, number, price, ALICE, BOB),
        looksrare.NAME: lambda: taker_bid(NFT, number, price, ALICE, BOB),
        x2y2.NAME: lambda: inventory(1, token=number, price=price),
    }
    return [[move, logs[market]()]]


def _first_sale(market: str) -> list[Log]:
    return _sale(market, 1, ETH)[-1]


def source(
    urls: Sequence[str], cache: Path, start: int, minutes: int = 0, head: str = "latest"
) -> EthereumSource:
    """The source on these nodes, some minutes after the first reading."""
    rpc = Rpc(urls, sleep=lambda _: None, attempts=1)
    now = datetime.fromtimestamp(GENESIS + 10_000_000 + 60 * minutes, UTC).replace(tzinfo=None)
    return EthereumSource(rpc, CONTRACTS, start=str(start), cache=cache, head=head, now=lambda: now)


def poll(one: EthereumSource) -> None:
    """Read what is new."""
    one.watermark()


@contextmanager
def faulty_nodes(chain: ReorgChain, cell: Cell, before: int) -> Iterator[list[str]]:
    """Addresses of nodes that answer, after the reorganisation, as the cell says."""
    if cell.change == "lagging":
        # The first node is away; the second one has not seen the newest blocks.
        with (
            serving(Passage(chain.node)) as away,
            serving(Passage(chain.node, lagging(before - 1))) as behind,
        ):
            away.allowed = 0
            yield [away.url, behind.url]
    else:
        with serving(Passage(chain.node, {"omitted": omitting, "pruned": pruned}[cell.change])) as node:
            yield [node.url]


def omitting(method: str, _parameters: list[Any], result: Any) -> Any:
    """Leaves out the first log of each answer."""
    return result[1:] if method == "eth_getLogs" else result


def pruned(method: str, _parameters: list[Any], result: Any) -> Any:
    """Has no logs."""
    return [] if method == "eth_getLogs" else result


def lagging(height: int) -> Any:
    """Has no block above a height."""

    def change(method: str, parameters: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and parameters[0] == "latest":
            return None
        if method == "eth_blockNumber":
            return hex(height)
        number = int(result["number"], 16) if isinstance(result, dict) and "number" in result else 0
        return None if number > height else result

    return change


def killed_reading(url: str, cache: Path, start: int, statement: int) -> int:
    """Read in a process that kills itself at a statement of the transaction; returns its exit code."""
    # Not a fork of this process, which has threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sources.ethereum.source"])
    process = context.Process(target=_read_until_killed, args=(url, cache, start, statement))
    process.start()
    process.join(60)
    assert process.exitcode is not None, "the process did not end"
    return process.exitcode


def _read_until_killed(url: str, cache: Path, start: int, statement: int) -> None:
    one = source([url], cache, start, 1)
    seen: list[str] = []

    def kill_at(sql: str) -> None:
        if seen or sql.startswith("begin"):
            seen.append(sql)
        if len(seen) > statement:
            os.kill(os.getpid(), signal.SIGKILL)

    one._store.con.set_trace_callback(kill_at)
    poll(one)
