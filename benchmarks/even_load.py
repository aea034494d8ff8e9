"""A client that sends requests at an even rate, whether or not earlier ones were answered (open loop).

Here: connections, requests and their latencies. Not here: servers. A client that waits for answers would send less
while the server is slow, and leave the worst moments out of its figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

CONNECTIONS = 16


async def ready(port: int, path: bytes) -> None:
    """Wait for the first answer."""
    for _ in range(600):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await answered(reader, writer, path)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise RuntimeError("expected the server to answer within 30 s, it did not")


async def even_load(port: int, paths: list[bytes], rate: int) -> tuple[list[float], int]:
    """Seconds from when each request was due to its answer, and how many failed."""
    latencies: list[float] = []
    failed = 0
    start = time.perf_counter() + 0.2

    async def connection(number: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for place in range(number, len(paths), CONNECTIONS):
            due = start + place / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            try:
                await answered(reader, writer, paths[place])
                latencies.append(time.perf_counter() - due)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                failed += 1
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    await asyncio.gather(*(connection(number) for number in range(CONNECTIONS)))
    return latencies, failed


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: bytes) -> bytes:
    """One request on an open connection; the body of its answer."""
    writer.write(b"GET %b HTTP/1.1\r\nhost: localhost\r\n\r\n" % path)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ValueError(f"expected status 200, found {head[:40]!r}")
    length = next(
        int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    return await reader.readexactly(length)
