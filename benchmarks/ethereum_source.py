"""How fast the Ethereum source reads and decodes, against what the node alone needs.

    ASSAY_TEST_CHAIN=FOLDER python -m benchmarks.ethereum_source

A node (anvil) holds blocks with 25 sales of Seaport each. Printed: sales decoded in a second of CPU, the time of a
backfill divided by that of a bare loop of `eth_getLogs` over the same blocks, without and with the latency of a
provider, and how many requests a backfill makes of a provider (of a server of the tests) by the blocks that it answers
at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import httpx

from sources.ethereum.chain import Chain
from sources.ethereum.decoders import seaport
from sources.ethereum.decoders.transactions import MARKET_OF, MOVEMENT_EVENTS, SALE_EVENTS, decode
from sources.ethereum.fetching import FIRST_SPAN, Fetcher, LogFilter, Spans
from sources.ethereum.reading import Reader
from sources.ethereum.rpc import Rpc
from sources.ethereum.store import Store
from sources.local_chain.logs import ALICE, BOB, CAROL, NFT, coin, moved, order, token
from sources.local_chain.node import Node, find_packages, local_node
from tests.chain.scripted import ScriptedNode, serving

BLOCKS = 400
SALES = 25

LATENCIES_S = (0.0, 0.05, 0.1)
"""Added to each answer: a node of this machine, and providers."""


def fill(node: Node) -> int:
    """Blocks with sales; returns the newest one."""
    for block in range(BLOCKS):
        logs = []
        for sale in range(SALES):
            number = block * SALES + sale
            parts = [coin(900 + number, ALICE), coin(25, min(seaport.FEE_RECIPIENTS)), coin(50, CAROL)]
            logs += [moved(ALICE, BOB, number), order(ALICE, BOB, [token(number)], parts, number=number)]
        node.emit(logs)
    return int(node.call("eth_blockNumber"), 16)


def bare(url: str, last: int, at_once: int) -> int:
    """A loop of `eth_getLogs` for the same logs; returns how many came."""
    wanted = [LogFilter((NFT,), MOVEMENT_EVENTS), LogFilter(tuple(MARKET_OF), SALE_EVENTS)]
    count = 0
    with httpx.Client(timeout=60) as client:
        for low in range(1, last + 1, at_once):
            for one in wanted:
                question: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs"}
                question["params"] = [one.in_range(low, min(low + at_once - 1, last))]
                count += len(client.post(url, json=question).json()["result"])
    return count


def backfill(url: str, last: int, folder: Path, at_once: int | None = None) -> tuple[Store, int]:
    """The source's own reading into a new store; returns it and the requests."""
    rpc = Rpc([url])
    chain = Chain(rpc, 64)
    store = Store(folder / "chain.sqlite")
    limit = {} if at_once is None else {rpc.current: at_once}
    Reader(chain, store, Fetcher(chain, Spans(dict(limit), limit))).read([NFT], 1, last)
    return store, rpc.requests


@contextmanager
def delayed(url: str, seconds: float) -> Iterator[str]:
    """An address that passes each question on to another and answers so much later."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(seconds)
            answer = client.post(url, content=body, headers={"content-type": "application/json"})
            self.send_response(answer.status_code)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with httpx.Client(timeout=60) as client:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()


def requests_of(blocks: int, with_movements: int, answered_at_once: int) -> tuple[int, int]:
    """Requests, and questions in them, of the backfill of one contract from a provider that limits ranges."""
    node = ScriptedNode(height=blocks + 64)

    def limited(method: str, parameters: list[Any]) -> tuple[int, dict[str, str], Any] | None:
        wanted = parameters[0] if method == "eth_getLogs" else {}
        if (
            "fromBlock" in wanted
            and int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) >= answered_at_once
        ):
            return 200, {}, {"error": {"code": -32602, "message": f"at most {answered_at_once} blocks"}}
        return None

    node.fault = limited
    for sale in range(with_movements):
        traded = order(ALICE, BOB, [token(sale)], [coin(900, ALICE)], number=sale)
        node.add(1 + blocks * sale // with_movements, [moved(ALICE, BOB, sale), traded])
    with serving(node), TemporaryDirectory() as folder:
        _, requests = backfill(node.url, blocks, Path(folder))
    return requests, len(node.asked)


def compare(url: str, last: int, at_once: int) -> Store:
    """Print the best of three bare loops and of three backfills; returns a store that was read."""
    bare_s, ours_s, requests, count = [], [], 0, 0
    for _ in range(3):
        began = time.perf_counter()
        count = bare(url, last, at_once)
        bare_s.append(time.perf_counter() - began)
        with TemporaryDirectory() as folder:
            began = time.perf_counter()
            store, requests = backfill(url, last, Path(folder), at_once)
            ours_s.append(time.perf_counter() - began)
            assert store.counts()[1] == count
    sys.stdout.write(
        f"  bare loop {min(bare_s):.2f} s, backfill {min(ours_s):.2f} s with {requests} requests: "
        f"{min(ours_s) / min(bare_s):.2f} times\n"
    )
    return store


def measure_decoding(store: Store) -> None:
    """Print how many sales are decoded in a second of CPU, the best of three."""
    transactions = [logs for _, logs in store.transactions(0, 2**40)]
    orders = [[g for g in logs if g.event == seaport.ORDER_FULFILLED] for logs in transactions]
    took = []
    for _ in range(3):
        began = time.process_time()
        sales = sum(len(decode(some, {}).trades) for some in orders)
        took.append(time.process_time() - began)
        assert sales == BLOCKS * SALES
    sys.stdout.write(f"{BLOCKS * SALES / min(took):.0f} OrderFulfilled decoded in a second of CPU\n")


def main() -> int:
    """Measure and print."""
    with local_node(find_packages()) as node:
        last = fill(node)
        for seconds in LATENCIES_S:
            for at_once in (FIRST_SPAN, 25):
                sys.stdout.write(
                    f"{last} blocks, {at_once} at once, {1000 * seconds:.0f} ms added to each answer\n"
                )
                with delayed(node.url, seconds) if seconds else nullcontext(node.url) as url:
                    store = compare(url, last, at_once)
        measure_decoding(store)
    for at_once in (500, 2_000, 10_000):
        requests, questions = requests_of(100_000, 1_000, at_once)
        sys.stdout.write(
            f"100,000 blocks, 1,000 with movements, {at_once:,} answered at once: {requests} requests, "
            f"{questions} questions\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
