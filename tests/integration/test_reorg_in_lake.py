"""A reorganisation in a home: rows are superseded in the lake, the doubt about a node alerts until it is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestration.checks.definition import CheckContext
from orchestration.ingestion.checks import RAW
from orchestration.ingestion.configured import describe_sources, record_sources
from orchestration.ingestion.incidents import record_incidents
from orchestration.ingestion.ingest import ingest_window
from orchestration.resources import open_lake
from orchestration.settings import load_settings
from sources.configuration import EthereumConfig
from sources.several import Sources
from tests.chain.node import running_node
from tests.chain.reorgs import CONTRACTS, MARKETS, Cell, ReorgChain, faulty_nodes

TABLES = ("sales", "transfers", "blocks")
(BELIEVED,) = (check for check in RAW if check.name == "answers_are_believed")


def test_the_lake_has_what_stands_and_what_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, n = Cell(2, "pruned"), len(MARKETS)
    config = EthereumConfig(name="chain", contracts=",".join(CONTRACTS), start="1", head="latest")
    lake = open_lake(load_settings(home=tmp_path / "home"))

    def ingested(*urls: str) -> tuple[list[tuple[Any, ...] | None], bool]:
        """Rows that stand and that were superseded, by table, and whether the check passes."""
        monkeypatch.setenv("ASSAY_RPC_URLS", ",".join(urls))
        sources = Sources([config], tmp_path / "cache")
        record_sources(lake, sources)
        record_incidents(lake, sources)
        (one,) = sources.readable
        ingest_window(
            lake, one.source, TABLES, one.source.first_known(), one.source.watermark(), name=config.name
        )
        with lake.read() as con:
            found = [
                con.execute(
                    "select count(*) filter (superseded_by is null), count(superseded_by), "
                    f"count(distinct source_row) = count(*) from raw.{table}"
                ).fetchone()
                for table in ("sales", "transfers")
            ]
            passed = BELIEVED.measure(CheckContext(con, one.source.watermark())).passed
        return found, passed

    with running_node() as node:
        chain = ReorgChain(node)
        chain.trade(cell)
        stood = [(3 * n, 0, True)] * 2
        assert ingested(node.url) == (stood, True)
        chain.reorganise(cell)
        with faulty_nodes(chain, cell, 0) as (faulty,):
            assert ingested(faulty) == (stood, False)
        (described,) = describe_sources(lake, [config])
        assert described["state"] == "answers not believed"
        assert "expected its logs" in described["problem"]
        # Two sales at each marketplace were replaced, and came again with another one.
        assert ingested(node.url) == ([(4 * n, 2 * n, True)] * 2, True)
        assert ingested(node.url) == ([(4 * n, 2 * n, True)] * 2, True)
    with lake.read() as con:
        ((kind, is_over),) = con.execute(
            "select kind, closed_at is not null from ops.source_incidents"
        ).fetchall()
        assert (kind, is_over) == ("node_doubtful", True)
        # A superseded row names a block that stands, in the manifest.
        missing = con.execute(
            "select count(*) from raw.sales s anti join (select * from raw.blocks where superseded_by is null) b"
            " on coalesce(s.superseded_by, s.block_hash) = b.block_hash"
        ).fetchone()
        assert missing == (0,)
