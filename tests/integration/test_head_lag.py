"""How far a home is behind the head of its chain, polled as the schedule polls it; and after a day without a poll."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.clock import SetClock
from orchestration.ingestion.assets import ingest
from orchestration.reliability.scratch import scratch_settings
from orchestration.resources import Assay, open_sources
from orchestration.schedules import CADENCE
from orchestration.settings import SOURCES_FILE, Settings
from sources.configuration import parse_sources, sources_as_yaml
from sources.ethereum.source import EthereumSource
from sources.local_chain.node import GENESIS
from tests.chain.node import running_node
from tests.chain.reorgs import CONTRACTS, MARKETS, ReorgChain

BLOCK_S = 60
"""Seconds of a block: five times those of mainnet, so that a day is mined in seconds. Final after 12 of them."""

TO_FINALITY = timedelta(seconds=13 * BLOCK_S)
EVERY = timedelta(hours=1)
HEADS = ("finalized", "latest")
STEADY = 3


def _settings(home: Path) -> Settings:
    """A home that reads the same contracts twice: up to each head."""
    given = {"kind": "ethereum", "contracts": ",".join(CONTRACTS), "start": "0"}
    listed = parse_sources([{"name": head, "head": head, **given} for head in HEADS], "test")
    home.mkdir()
    (home / SOURCES_FILE).write_text(sources_as_yaml(listed))
    return scratch_settings(home, sources=home / SOURCES_FILE)


def _delivered(assay: Assay) -> dict[str, datetime]:
    with assay.lake.read() as con:
        return dict(con.execute("select name, watermark from ops.sources").fetchall())


def test_a_home_is_at_most_two_polls_behind_and_one_poll_ends_a_gap_of_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (minute, *rest) = next(cron for name, _, cron, _ in CADENCE if name == "hourly_refresh").split()
    assert rest == ["*"] * 4
    settings, sold = _settings(tmp_path / "home"), 0
    kept_open = Assay(settings)  # like the code server, which asks no node again
    with running_node("--slots-in-an-epoch", "6") as node:
        monkeypatch.setenv("ASSAY_RPC_URLS", node.url)
        chain = ReorgChain(node)
        genesis = datetime.fromtimestamp(GENESIS, UTC).replace(tzinfo=None)
        tick = genesis.replace(minute=int(minute), second=0) + 2 * EVERY

        def newest() -> int:
            return int(node.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

        def until(moment: datetime) -> None:
            """The chain goes on to this time, with a sale at each marketplace in the middle."""
            nonlocal sold
            blocks = (GENESIS + int((moment - genesis).total_seconds()) - newest()) // BLOCK_S
            node.mine(blocks // 2, BLOCK_S)
            node.at_time(newest() + BLOCK_S)
            chain.block_with(chain.transactions(1, first_token=100 * sold))
            sold += 1
            node.at_time(newest() + BLOCK_S)
            node.mine(blocks - blocks // 2 - 1, BLOCK_S)

        def poll(moment: datetime) -> int:
            """The ingestion of the run that the schedule asks for; returns the requests to the node."""
            open_sources.cache_clear()
            assay = Assay(settings, SetClock(moment))
            ingest(assay, ["sales", "transfers", "blocks"])
            requests = 0
            for one in assay.sources.readable:
                assert isinstance(one.source, EthereumSource)
                requests += one.source._rpc.requests
            return requests

        until(tick)
        poll(tick)
        worst = dict.fromkeys(HEADS, timedelta(0))
        for _ in range(STEADY):
            tick += EVERY
            until(tick)
            for head, watermark in _delivered(kept_open).items():
                worst[head] = max(worst[head], tick - watermark)
            poll(tick)
        assert all(lag <= 2 * EVERY for lag in worst.values()), worst
        tick += 24 * EVERY
        until(tick)
        requests = poll(tick)
        after = {head: tick - watermark for head, watermark in _delivered(kept_open).items()}
    assert after["latest"] <= timedelta(seconds=BLOCK_S)
    assert after["finalized"] <= TO_FINALITY
    assert requests < 100
    # A sensor of a process that lives on asks what was delivered, and no node.
    assert kept_open.delivered_until == max(_delivered(kept_open).values())
    with kept_open.lake.read() as con:
        counts = dict(con.execute("select delivered_by, count(*) from raw.sales group by all").fetchall())
    assert counts == dict.fromkeys(HEADS, sold * len(MARKETS))
