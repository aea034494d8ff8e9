"""An ingestion of a chain that is killed (SIGKILL) at any moment, then run again: nothing is lost, nothing is doubled.

The chain's own store (SQLite) and the lake are two files: a process can end while the first is written, between the
two, and while the second is written.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from orchestration.ingestion.configured import record_sources
from orchestration.ingestion.incidents import record_incidents
from orchestration.ingestion.ingest import ingest_window
from orchestration.resources import open_lake
from orchestration.settings import load_settings
from sources.configuration import EthereumConfig
from sources.several import Sources
from tests.chain.node import running_node
from tests.chain.reorgs import CONTRACTS, MARKETS, Cell, ReorgChain

RAW = ("sales", "transfers", "blocks")
STRETCHES, BLOCKS = 5, 300
"""The history: more blocks than one request to a node answers, with sales in between."""

KILLED = 6
"""Times that the history is killed, and then the reorganisation: at random moments and, as the store is written in
milliseconds, every other time at a random statement of it; each once more between the two files."""

STATEMENTS = 60


def _sources(folder: Path) -> Sources:
    config = EthereumConfig(name="chain", contracts=",".join(CONTRACTS), start="1", head="latest")
    return Sources([config], folder)


def _ingest(folder: Path, *, killed_at: int = 0, only_the_store: bool = False) -> None:
    """What the assets of the group raw do, on a home in this folder."""
    if killed_at:
        _kill_at_statement(killed_at)
    sources = _sources(folder)
    (one,) = sources.readable
    until = one.source.watermark()
    if only_the_store:
        for table in RAW:
            list(one.source.read(table, one.source.first_known(), until))
        os.kill(os.getpid(), signal.SIGKILL)
    lake = open_lake(load_settings(home=folder))
    record_sources(lake, sources)
    record_incidents(lake, sources)
    ingest_window(lake, one.source, RAW, one.source.first_known(), until, name="chain")


def _kill_at_statement(number: int) -> None:
    """Kill this process before a statement that writes to the chain's store, counted from 1."""
    written = itertools.count(1)

    def trace(sql: str) -> None:
        if not sql.lstrip().lower().startswith(("select", "with", "pragma")) and next(written) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    opened: list[sqlite3.Connection] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        # A connection can be traced only once it is made, which is at the next event: the node is asked.
        while opened and event == "socket.connect":
            opened.pop().set_trace_callback(trace)
        if event == "sqlite3.connect/handle":
            opened.append(arguments[0])

    sys.addaudithook(watch)


def _ingest_and_signal(
    folder: Path, variables: dict[str, str], ready: Connection, how: dict[str, Any]
) -> None:
    # An earlier test may have started the server of forks: it has the environment of that time.
    os.environ.update(variables)
    ready.send(True)
    _ingest(folder, **how)


def _ingest_killed(folder: Path, after_s: float, **how: Any) -> tuple[bool, float]:
    """Ingest in a process that is killed after some seconds; whether it was, and the seconds that it ran."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "orchestration.resources", "ml.tables.registry"])
    ours, theirs = context.Pipe()
    process = context.Process(target=_ingest_and_signal, args=(folder, dict(os.environ), theirs, how))
    process.start()
    assert ours.recv()
    began = time.monotonic()
    process.join(after_s)
    ran = time.monotonic() - began
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0, ran


def _kill_again_and_again(home: Path, moments: random.Random) -> Path:
    """A copy of a home whose ingestion was killed at random, and then between the two files.

    What one of them has done stays for the next one; when it has done all, the next begins with a new copy.
    """
    copy, kills, whole_s = home.with_name(f"{home.name}-killed"), 0, 60.0
    while kills < KILLED:
        if not copy.exists():
            shutil.copytree(home, copy)
        if kills % 2:
            killed, ran = _ingest_killed(copy, 60, killed_at=moments.randint(1, STATEMENTS))
        else:
            killed, ran = _ingest_killed(copy, moments.uniform(0, whole_s))
        kills += killed
        if not killed:
            whole_s = min(whole_s, ran)
            shutil.rmtree(copy)
    assert _ingest_killed(copy, 60, only_the_store=True)[0]
    return copy


def _held(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of the lake that stand, and, in `gone`, those that were superseded."""
    columns = "* exclude (known_at, delivered_by)"  # a replacement is known later than its block
    with open_lake(load_settings(home=folder)).read() as con:
        held = {
            table: con.execute(
                f"select {columns} from raw.{table} where superseded_by is null order by all"
            ).fetchall()
            for table in RAW
        }
        held["gone"] = con.execute(
            "select source_row, block_hash from raw.sales where superseded_by is not null order by all"
        ).fetchall()
        held["twice"] = con.execute(
            "select source_row from raw.sales group by all having count(*) > 1"
            " union all select source_row from raw.transfers group by all having count(*) > 1"
        ).fetchall()
        held["incidents"] = con.execute("select kind, closed_at is null from ops.source_incidents").fetchall()
        held["refused"] = con.execute("select table_name, reason from raw.quarantine").fetchall()
    return held


def test_an_ingestion_that_is_killed_at_any_moment_ends_like_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments, n = random.Random(13), len(MARKETS)
    empty, clean = tmp_path / "empty", tmp_path / "clean"
    with open_lake(load_settings(home=empty)).read():
        pass  # every table is there: a lake takes longer to make than to fill
    with running_node() as node:
        chain, cell = ReorgChain(node), Cell(7, "replaced")
        for stretch in range(STRETCHES):
            chain.block_with(chain.transactions(5, first_token=100 * stretch))
            node.mine(BLOCKS)
        chain.trade(cell)
        monkeypatch.setenv("ASSAY_RPC_URLS", node.url)
        before = _kill_again_and_again(empty, moments)
        _ingest(before)
        shutil.copytree(empty, clean)
        _ingest(clean)
        assert _held(before) == _held(clean)
        assert len(_held(clean)["sales"]) == (STRETCHES + 3) * n
        chain.reorganise(cell)
        after = _kill_again_and_again(before, moments)
        for home in (after, clean):
            _ingest(home)
        assert _held(after) == _held(clean)
        shutil.copytree(empty, tmp_path / "new")
        _ingest(tmp_path / "new")
    held, new = _held(after), _held(tmp_path / "new")
    assert {table: held[table] for table in RAW} == {table: new[table] for table in RAW}
    assert (len(held["gone"]), held["twice"], held["refused"]) == (2 * n, [], [])
    assert held["incidents"] == [("chain_reorganised", False)]
