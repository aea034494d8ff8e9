"""What an answer costs: the look-up of one token against a bare ASGI answer of the same bytes, batches, publications.

Here: a store of made-up tokens, the application called in this process, and a real server under an even load. Not
here: the client (`even_load`), making a home (`benchmarks.runs`).

Concept: times mean little on a shared machine, ratios to something measured in the same minute do. Two of them: CPU
seconds of a call of the application (no sockets, no client), and latency of a real server at a fixed rate. Requests are
sent when they are due, whether or not others were answered: a client that waited would leave out the worst moments.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psutil

from benchmarks import h2load
from benchmarks.even_load import even_load, ready

if TYPE_CHECKING:
    from benchmarks.__main__ import Figures

COLLECTIONS = 200
CALLS = 5_000
CLIENT = "h2load" if h2load.is_installed() else "in Python"


@dataclass(frozen=True)
class Load:
    """What a server is asked: requests a second, for so many seconds."""

    rate: int = 1_000
    seconds: int = 10

    def __str__(self) -> str:
        return f"{self.rate:,} requests/s for {self.seconds} s"


CHANGED = 0.01
"""Share of the collections that another day changes."""


def measure_serving(
    figures: Figures, scratch: Path, tokens: int, store: str = "", load: Load | None = None
) -> None:
    """Publications, calls of the application, and a server under load.

    Args:
        figures: Where the rows go.
        scratch: A folder of its own.
        tokens: Tokens of the store.
        store: URL of an empty PostgreSQL database that is compared; empty: none.
        load: What servers are asked.
    """
    folder = scratch / "serving"
    lake = made_up_lake(tokens)
    measure_publication(figures, lake, folder)
    measure_calls(figures, folder, tokens)
    load = load or Load()
    measure_server(figures, folder, tokens, load)
    if store:
        from benchmarks.serving_postgres import measure_postgres

        measure_postgres(figures, folder, store, tokens, load)


def made_up_lake(tokens: int) -> duckdb.DuckDBPyConnection:
    """The tables of a lake in memory, with so many estimates in `COLLECTIONS` collections."""
    from ml.tables.registry import TABLES

    con = duckdb.connect()
    for schema in {table.name.partition(".")[0] for table in TABLES}:
        con.execute(f"create schema {schema}")
    for table in TABLES:
        columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
        con.execute(f"create table {table.name} ({columns})")
    con.execute(
        f"""
        insert into marts.dim_collections by name
        select 'Collection ' || i as collection, 'ethereum' as "chain", printf('0x%040x', i) as contract,
            'Collection ' || i as name, {tokens // COLLECTIONS} as supply, timestamp '2026-01-10' as covered_until,
            9 as n_arms_length
        from range({COLLECTIONS}) as r (i);
        insert into predictions.token_estimates by name
        select 'Collection ' || (i % {COLLECTIONS}) as collection, (i // {COLLECTIONS})::varchar as token_id,
            0.5 + hash(i) % 1000 / 100.0 as estimate_eth, estimate_eth * 0.8 as lower_80_eth,
            estimate_eth * 1.3 as upper_80_eth, estimate_eth * 0.7 as lower_90_eth, estimate_eth * 1.5 as upper_90_eth,
            estimate_eth * 1.05 as expected_eth, 'pooled' as tier, 'B' as grade, collection || '@1' as model_version,
            '08ee34d5c918' as prior_version, timestamp '2026-01-10' as as_of,
            timestamp '2026-01-09' as feature_watermark, 1 as snapshot_id, 0.4 as floor_proxy_eth
        from range({tokens}) as r (i);
        insert into predictions.estimate_history by name
        select * exclude (
            no_value_reason, feature_fingerprint, lowest_ask_eth, lowest_ask_at, live_asks, floor_proxy_eth,
            last_sale_eth
        )
        from predictions.token_estimates;
        insert into marts.fct_holdings by name
        select collection, token_id, printf('0x%040x', hash(token_id) % 100000) as owner, as_of as held_since
        from predictions.token_estimates;
        """
    )
    return con


def measure_publication(figures: Figures, lake: duckdb.DuckDBPyConnection, location: Path | str) -> None:
    """Everything, then a day that changes some collections, then nothing."""
    from datetime import datetime

    from serving.store.publication import publish

    def timed(day: int) -> tuple[float, Any]:
        began = time.perf_counter()
        report = publish(lake, location, datetime(2026, 1, day))  # noqa: DTZ001 - the lake's naive UTC
        return time.perf_counter() - began, report

    whole, report = timed(10)
    rows = report.rows["tokens"]
    figures.add(f"publication of {rows:,} tokens, everything", f"{whole:.1f} s")
    figures.add("  size of the store", f"{report.bytes / 2**20:.0f} MiB")
    changed = max(1, round(COLLECTIONS * CHANGED))
    lake.execute(
        "update predictions.token_estimates set estimate_eth = estimate_eth * 1.1, as_of = as_of + interval 1 day"
        f" where collection in (select 'Collection ' || i from range({changed}) as r (i))"
    )
    day, report = timed(11)
    figures.add(
        f"  a day that changes {report.rows['tokens']:,} of them",
        f"{day:.1f} s = {100 * day / whole:.0f} %",
        "≤ 10 % of everything",
    )
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items())
    figures.add(f"    {stages}", "")
    nothing, _ = timed(11)
    figures.add("  nothing new", f"{nothing:.1f} s")


def measure_calls(figures: Figures, folder: Path, tokens: int) -> None:
    """CPU of one call of the application in this process: bare, short-circuited, routed, batches."""
    from serving.api import gate
    from serving.api.app import build_app
    from serving.api.config import ApiConfig

    paths = random_paths(tokens, CALLS)
    app = build_app(ApiConfig(folder, folder.parent / "api", anonymous_limit="1000000000/minute"))
    body = asyncio.run(called(app, paths[0]))
    bare = cpu_of(bare_application(body), paths)
    figures.add(f"bare ASGI answer of {len(body)} bytes, CPU a call", f"{1e6 * bare:.1f} µs")
    for name, prefix in (("short-circuited", b"/v1/tokens/"), ("through FastAPI", b"/nowhere/")):
        kept, gate.PREFIX = gate.PREFIX, prefix
        try:
            cost = cpu_of(app, paths)
        finally:
            gate.PREFIX = kept
        figures.add(f"  one token, {name}: application alone", f"{1e6 * cost:.1f} µs")
    asked = [
        json.dumps({"tokens": [token_of(path) for path in random_paths(tokens, 100)]}).encode()
        for _ in range(100)
    ]
    seconds = sorted(asyncio.run(batch_seconds(app, asked)))
    figures.add("  batch of 100 tokens, p50", f"{1e3 * seconds[50]:.1f} ms")
    figures.add("  batch of 100 tokens, p99", f"{1e3 * seconds[98]:.1f} ms", "≤ 20 ms")


def measure_server(figures: Figures, folder: Path, tokens: int, load: Load) -> None:
    """Real servers one after the other, the bare one first and last, at the same even rate."""
    paths = random_paths(tokens, load.rate * load.seconds)
    bare = [serve_and_load("bare", folder, paths, load)]
    found = serve_and_load("api", folder, paths, load)
    bare.append(serve_and_load("bare", folder, paths, load))
    middle = {name: (bare[0][name] + bare[1][name]) / 2 for name in bare[0]}
    figures.add(f"server at {load}, client {CLIENT}: failed", f"{found['failed']:.0f}", "0")
    figures.add("  CPU a request, bare ASGI answer in granian", f"{1e6 * middle['cpu']:.0f} µs")
    figures.add(
        "  CPU a request, one token",
        f"{1e6 * found['cpu']:.0f} µs = {found['cpu'] / middle['cpu']:.2f} ×",
        "≤ 2 ×",
    )
    figures.add("  p99, bare", f"{1e3 * middle['p99']:.1f} ms")
    figures.add(
        "  p99, one token", f"{1e3 * found['p99']:.1f} ms = {found['p99'] / middle['p99']:.2f} ×", "≤ 2 ×"
    )
    figures.add("  memory beside the page cache", f"{found['memory'] / 2**20:.0f} MiB", "≤ 300 MB")


def random_paths(tokens: int, count: int) -> list[bytes]:
    """Paths of tokens drawn at random, always the same ones."""
    rng = random.Random(7)
    drawn = (rng.randrange(tokens) for _ in range(count))
    return [b"/v1/tokens/Collection%%20%d/%d" % (n % COLLECTIONS, n // COLLECTIONS) for n in drawn]


def token_of(path: bytes) -> dict[str, str]:
    """The token of a path, for a batch."""
    collection, token = path.decode().split("/")[3:]
    return {"collection": collection.replace("%20", " "), "token_id": token}


def bare_application(body: bytes) -> Any:
    """An ASGI application that answers these bytes whatever is asked."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]

    async def application(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


async def called(application: Any, path: bytes, body: bytes | None = None) -> bytes:
    """Call an application as a server does; the body of the answer."""
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body or b"", "more_body": False}

    async def send(message: Any) -> None:
        parts.append(message.get("body", b""))
        if message.get("status", 200) != 200:
            raise RuntimeError(f"expected status 200 for {path!r}, found {message['status']}")

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "method": "GET" if body is None else "POST", "path": "", "raw_path": path,
        "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "http_version": "1.1",
    }  # fmt: skip
    await application(scope, receive, send)
    return b"".join(parts)


def cpu_of(application: Any, paths: list[bytes]) -> float:
    """CPU seconds of a call: the least of five passes, which is the one that others disturbed least."""

    async def passes() -> float:
        best = float("inf")
        for _ in range(5):
            began = time.process_time()
            for path in paths:
                await called(application, path)
            best = min(best, time.process_time() - began)
        return best / len(paths)

    return asyncio.run(passes())


async def batch_seconds(application: Any, bodies: list[bytes]) -> list[float]:
    """Seconds of each batch."""
    found = []
    for body in bodies:
        began = time.perf_counter()
        await called(application, b"/v1/estimates:batch", body)
        found.append(time.perf_counter() - began)
    return found


def serve_and_load(kind: str, location: Path | str, paths: list[bytes], load: Load) -> dict[str, float]:
    """Start a server in a process of its own, send the requests at an even rate, and look at what it took."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.serving", kind, str(port)]
    process = subprocess.Popen(command, env={**os.environ, "BENCHMARK_STORE": str(location)})
    try:
        asyncio.run(ready(port, paths[0]))
        asyncio.run(even_load(port, paths[: load.rate * 2], load.rate))
        before = server_usage(process.pid)
        if h2load.is_installed():
            latencies, failed = h2load.h2load(port, paths, load.rate, load.seconds)
        else:
            latencies, failed = asyncio.run(even_load(port, paths, load.rate))
        after = server_usage(process.pid)
    finally:
        process.terminate()
        process.wait(20)
    return {
        "cpu": (after[0] - before[0]) / len(paths),
        "memory": after[1],
        "p50": sorted(latencies)[len(latencies) // 2] if latencies else float("nan"),
        "p99": sorted(latencies)[int(0.99 * len(latencies))] if latencies else float("nan"),
        "failed": float(failed),
    }


def server_usage(pid: int) -> tuple[float, float]:
    """CPU seconds and private memory in bytes of a server and its workers."""
    parent = psutil.Process(pid)
    times, memory = 0.0, 0.0
    for process in (parent, *parent.children(recursive=True)):
        used = process.cpu_times()
        times += used.user + used.system
        memory += process.memory_full_info().uss
    return times, memory


def make_bare() -> Any:
    """The bare application, for a server process."""
    from serving.api.app import build_app
    from serving.api.config import ApiConfig

    folder = Path(os.environ["BENCHMARK_STORE"])
    app = build_app(ApiConfig(folder, folder.parent / "api", anonymous_limit=""))
    body = asyncio.new_event_loop().run_until_complete(called(app, b"/v1/tokens/Collection%201/1"))
    return bare_application(body)


def serve_bare(port: int) -> None:
    """A granian with the settings of the API and the bare application."""
    from granian import Granian
    from granian.constants import Interfaces

    Granian(
        "benchmarks.serving:make_bare", port=port, interface=Interfaces.ASGI, factory=True, websockets=False,
        log_enabled=False,
    ).serve()  # fmt: skip


def serve_api(port: int) -> None:
    """The API as `assay serve` starts it, with a limit that is counted and never reached."""
    from serving.api.config import ApiConfig
    from serving.api.server import run

    location = os.environ["BENCHMARK_STORE"]
    folder, url = (Path("none"), location) if "://" in location else (Path(location), "")
    run(
        ApiConfig(
            folder,
            folder.parent / "api",
            port=port,
            anonymous_limit="1000000000/minute",
            store_url=url,
        )
    )


_SERVERS: dict[str, Callable[[int], None]] = {"bare": serve_bare, "api": serve_api}

if __name__ == "__main__":
    _SERVERS[sys.argv[1]](int(sys.argv[2]))
