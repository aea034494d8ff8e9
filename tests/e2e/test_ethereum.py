"""`assay run --source ethereum` on a real node: from trades on the chain to estimates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode

from lake.config import LakeConfig
from lake.connection import Lake
from ml.tables.registry import TABLES
from tests.chain.market import ETH, Market
from tests.chain.node import GENESIS, running_node
from tests.chain.passage import Passage
from tests.chain.scripted import serving
from tests.command import assay

_SIX_HOURS = 6 * 3600


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    """Sixty sales over two weeks, in blocks that are final."""
    with running_node(None, "--slots-in-an-epoch", "4") as node:
        market = Market(node)
        sellers = node.accounts[1:8]
        for owner in sellers:
            start = 100 * sellers.index(owner)
            market.mint(owner, *range(start, start + 5))
        owners = {100 * n + k: owner for n, owner in enumerate(sellers) for k in range(5)}
        for number in range(60):
            token = sorted(owners)[(7 * number) % len(owners)]
            seller = owners[token]
            buyer = next(a for a in sellers if a != seller and (number + sellers.index(a)) % 3)
            node.at_time(GENESIS + 86_400 + number * _SIX_HOURS)
            price = ETH * (100 + (13 * number) % 31) // 100
            (market.accept if number % 4 == 3 else market.buy)(seller, buyer, market.token(token), price)
            owners[token] = buyer
        node.at_time(GENESIS + 86_400 + 61 * _SIX_HOURS)
        node.mine(20)
        yield market


def _with_traits(method: str, parameters: list[Any], result: Any) -> Any:
    """The contract of the test has no metadata: what a token answers is put in here, as JSON inside the address."""
    if method != "eth_call" or not parameters[0]["data"].startswith("0xc87b56dd"):
        return result
    token = int(parameters[0]["data"][10:], 16)
    document = {"name": f"Token {token}", "attributes": [{"trait_type": "Hat", "value": f"hat {token % 3}"}]}
    return "0x" + encode(["string"], ["data:application/json," + json.dumps(document)]).hex()


def _environment(url: str, market: Market) -> dict[str, str]:
    return {
        "ASSAY_RPC_URLS": url,
        "ASSAY_CONTRACTS": market.art,
        "ASSAY_START": "0",
        "ASSAY_REFITS": "2",
    }


@pytest.mark.slow
def test_a_run_on_a_node_gives_estimates_and_a_second_one_changes_nothing(
    market: Market, tmp_path: Path
) -> None:
    with serving(Passage(market.node, _with_traits)) as passage:
        _runs_twice(market, passage.url, tmp_path / "home")


def _runs_twice(market: Market, url: str, home: Path) -> None:
    environment = _environment(url, market)
    done = assay("run", "--json", "--source", "ethereum", "--home", str(home), **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    counts = _counts(home)
    assert counts["raw.sales"] == counts["marts.fct_sales"] == len(market.sold) == 60
    assert counts["predictions"] > 0
    prices = _prices(home)
    assert prices == sorted(each / ETH for *_, each, _, _, _, _ in market.sold)
    assert (counts["with_traits"], counts["quarantine"]) == (35, 0)
    summary = json.loads(done.stdout)
    assert summary
    again = assay("run", "--json", "--source", "ethereum", "--home", str(home), **environment)
    assert again.returncode == 0, again.stderr[-3000:]
    assert _counts(home) == counts
    written = done.stdout + done.stderr + again.stdout + again.stderr
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert "secretkey0123456789" not in written
    assert b"secretkey0123456789" not in kept


def _counts(home: Path) -> dict[str, int]:
    tables = {
        "raw.sales": "raw.sales",
        "marts.fct_sales": "marts.fct_sales",
        "raw.transfers": "raw.transfers",
    }
    tables |= {"with_traits": "marts.dim_tokens where trait_count = 1"}
    tables |= {"predictions": "predictions.token_estimates", "quarantine": "raw.quarantine"}
    with Lake(LakeConfig(home=home), TABLES).read() as con:
        return {name: con.execute(f"select count(*) from {t}").fetchone()[0] for name, t in tables.items()}


def _prices(home: Path) -> list[float]:
    with Lake(LakeConfig(home=home), TABLES).read() as con:
        return [row[0] for row in con.execute("select price_eth from marts.fct_sales order by 1").fetchall()]
