"""A store in PostgreSQL against one in SQLite files, in the same run: publishing, and looking up.

Here: the same lake published to both, and the same look-ups. Not here: the database, whose URL is given; the server
(`benchmarks.serving`).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.serving import (
    COLLECTIONS,
    Load,
    made_up_lake,
    measure_publication,
    random_paths,
    serve_and_load,
)

if TYPE_CHECKING:
    from benchmarks.__main__ import Figures
    from serving.store.protocol import Edition

LOOK_UPS = 5_000


def measure_postgres(figures: Figures, folder: Path, url: str, tokens: int, load: Load) -> None:
    """Publications to the database, then look-ups in it and in the files of `folder`.

    Args:
        figures: Where the rows go.
        folder: A store in files with as many tokens.
        url: An empty database.
        tokens: Tokens of both.
        load: What servers are asked.
    """
    from serving.store.location import open_store

    figures.add("store in PostgreSQL", "")
    measure_publication(figures, made_up_lake(tokens), url)
    for name, location in (("SQLite", folder), ("PostgreSQL", url)):
        store = open_store(location)
        measure_look_ups(figures, name, store.current(), tokens)
        store.close()
    paths = random_paths(tokens, load.rate * load.seconds)
    for name, location in (("SQLite", folder), ("PostgreSQL", url)):
        found = serve_and_load("api", location, paths, load)
        figures.add(f"API over {name}, {load}: failed", f"{found['failed']:.0f}", "0")
        figures.add("  CPU a request, without the database's", f"{1e6 * found['cpu']:.0f} µs")
        figures.add("  p50; p99", f"{1e3 * found['p50']:.1f} ms; {1e3 * found['p99']:.1f} ms")


def measure_look_ups(figures: Figures, name: str, edition: Edition, tokens: int) -> None:
    """One token at a time, batches of a hundred, pages and wallets, all drawn at random."""
    drawn = [path.decode().replace("%20", " ").split("/")[3:] for path in random_paths(tokens, LOOK_UPS)]
    ids = {c: edition.resolve(f"Collection {c}")[0].id for c in range(COLLECTIONS)}
    keys = [(ids[int(collection.rpartition(" ")[2])], token) for collection, token in drawn]
    single = []
    for key in keys:
        began = time.perf_counter()
        if edition.token(*key) is None:
            raise RuntimeError(f"expected token {key} in the store, found none")
        single.append(time.perf_counter() - began)
    batches = []
    for start in range(0, len(keys), 100):
        began = time.perf_counter()
        edition.estimates(keys[start : start + 100])
        batches.append(time.perf_counter() - began)
    figures.add(f"  look-up of one token, {name}: p50; p99", quantiles(single, 1e6, "µs"))
    figures.add(f"  look-up of 100 tokens, {name}: p50; p99", quantiles(batches, 1e3, "ms"))


def quantiles(seconds: list[float], factor: float, unit: str) -> str:
    """Median and 99th percentile."""
    found = sorted(seconds)
    chosen = (found[len(found) // 2], found[int(0.99 * len(found))])
    return "; ".join(f"{factor * one:.{0 if unit == 'µs' else 1}f} {unit}" for one in chosen)
