"""`assay demo chain`: from trades on a real node to models, estimates and a portfolio, by the main job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestration.reliability.scratch import scratch_settings
from tests.chain.node import packages
from tests.command import assay

SALES = 250
"""Enough that a model is trained for the market."""


@pytest.mark.slow
def test_the_demonstration_values_what_was_traded_on_a_chain(tmp_path: Path) -> None:
    packages()
    home = tmp_path / "home"
    # What would reach something outside the home does not.
    outside = {
        "ASSAY_SERVING_STORE": "postgresql://nobody@127.0.0.1:1/none",
        "ASSAY_CONTRACTS": "0x" + "1" * 40,
    }
    done = assay("demo", "chain", "--json", "--home", str(home), "--sales", str(SALES), **outside)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert sum(found["read"].values()) >= SALES
    assert found["read"] == found["traded"]
    assert set(found["read"]) == {"seaport", "blur", "looksrare", "x2y2", "cryptopunks"}
    assert found["bundled"][0] == found["bundled"][1] > 0
    assert (found["differing"], found["superseded"]) == ([], 3)
    assert found["with_traits"] == sum(one["tokens"] for one in found["collections"])
    ((kind, what),) = found["incidents"]
    assert kind == "chain_reorganised"
    assert "(3 blocks)" in what
    assert "expected an answer of a node, found none" in found["steps"][1]["what"]
    for one in found["collections"]:
        assert one["valued"] == one["tokens"]
        assert one["tier"] == "pooled"
        assert one["error"] < 0.2
    assert found["statement"]["value"]["sum_eth"] > 0
    assert found["statement"]["ether_usd"] > 0
    shown = assay("portfolio", "--home", str(home), "--wallet", found["wallet"], "--json")
    assert json.loads(shown.stdout)["value"]["sum_eth"] == pytest.approx(
        found["statement"]["value"]["sum_eth"]
    )
    again = assay("demo", "chain", "--home", str(home))
    assert (again.returncode, "expected a new folder" in again.stderr) == (2, True)


def test_a_missing_node_gives_what_to_install(tmp_path: Path) -> None:
    done = assay("demo", "chain", "--home", str(tmp_path / "home"), ASSAY_TEST_CHAIN=str(tmp_path), PATH="")
    assert done.returncode == 2
    assert "npm install --ignore-scripts @foundry-rs/anvil" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "home").exists()


def test_a_scratch_home_knows_nothing_of_its_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CATALOG_URL", "postgresql://user@host/real")
    monkeypatch.setenv("ASSAY_SOURCES", "real.yaml")
    monkeypatch.setenv("ASSAY_THREADS", "3")
    settings = scratch_settings(tmp_path)
    assert (settings.catalog_url, settings.sources, settings.threads) == (None, None, 3)
