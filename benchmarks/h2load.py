"""h2load as the client: a load generator that costs a fraction of one in Python, at an even rate for each connection.

Here: calling it and reading its log. Not here: the client of our own (`benchmarks.even_load`), for machines that
have no h2load.

A connection whose answer is late sends its next requests as soon as it can, and their latency counts from then. With 64
connections each sends every 32 ms at 2,000 requests/s, so only answers that take longer than that hide a part.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

CONNECTIONS = 64


def is_installed() -> bool:
    """Whether h2load (Debian: nghttp2-client) is there."""
    return shutil.which("h2load") is not None


def h2load(port: int, paths: list[bytes], rate: int, seconds: int) -> tuple[list[float], int]:
    """Seconds from each request to the end of its answer, and how many of those that were due have no good answer."""
    with tempfile.TemporaryDirectory() as folder:
        urls, log = Path(folder) / "urls", Path(folder) / "log"
        urls.write_text("".join(f"http://127.0.0.1:{port}{path.decode()}\n" for path in paths))
        command = ["h2load", "--h1", "-t", "1", "-c", str(CONNECTIONS), "-D", str(seconds), "-i", str(urls)]
        command += ["--rps", str(rate / CONNECTIONS), f"--log-file={log}"]
        subprocess.run(command, check=True, capture_output=True, timeout=seconds + 120)
        rows = [line.split("\t") for line in log.read_text().splitlines()]
    good = [int(row[2]) / 1e6 for row in rows if row[1] == "200"]
    # What is under way at the end is cut off: up to one request of each connection.
    missing = max(0, rate * seconds - CONNECTIONS * 2 - len(rows))
    return good, len(rows) - len(good) + missing
