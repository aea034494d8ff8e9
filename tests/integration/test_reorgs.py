"""The reorg matrix: depth × marketplace × what becomes of the sales and what nodes answer, on a real node.

Each case trades at every marketplace. After each reorganisation the rows that stand are those of a clean reading of the
chain, what was replaced is still there and superseded, and there is one incident.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sources.ethereum.reorg import DOUBT, REORG
from sources.ethereum.source import EthereumSource
from tests.chain.node import running_node
from tests.chain.passage import Passage
from tests.chain.reorgs import (
    MARKETS,
    MATRIX,
    Cell,
    ReorgChain,
    faulty_nodes,
    killed_reading,
    poll,
    source,
)
from tests.chain.scripted import serving

CELLS_OF_A_NODE = 8
FACTS = ("sales", "transfers")
TABLES = (*FACTS, "blocks")
EVER = (datetime(2020, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001
FAULTY = ("omitted", "pruned", "lagging")


@pytest.fixture(scope="module")
def chain(request: pytest.FixtureRequest) -> Iterator[ReorgChain]:
    """A node for some cells: anvil forgets the state of old blocks after a thousand."""
    with running_node() as node:
        yield ReorgChain(node)


Rows = dict[str, list[dict[str, Any]]]


def rows(one: EthereumSource, *tables: str) -> Rows:
    batches = {table: list(one.read(table, *EVER)) for table in tables or TABLES}
    assert not any(batch.rejected.num_rows for some in batches.values() for batch in some)
    return {t: [row for batch in some for row in batch.rows.to_pylist()] for t, some in batches.items()}


def standing(found: Rows) -> list[Any]:
    """What stands, without the time at which it became known: a replacement is found later than its block."""
    return sorted(
        (table, *(str(row[c]) for c in row if c != "known_at"))
        for table, some in found.items()
        for row in some
        if row["superseded_by"] is None
    )


def keys(found: Rows) -> list[tuple[str, str]]:
    return [(table, row["source_row"]) for table, some in found.items() for row in some]


@pytest.mark.parametrize(
    ("chain", "cell"),
    [pytest.param(n // CELLS_OF_A_NODE, cell, id=str(cell)) for n, cell in enumerate(MATRIX)],
    indirect=["chain"],
)
def test_the_rows_that_stand_are_those_of_a_clean_reading(
    cell: Cell, chain: ReorgChain, tmp_path: Path
) -> None:
    start = chain.begin()
    chain.trade(cell)
    cache, urls = tmp_path / "kept", [chain.node.url]
    one = source(urls, cache, start)
    before = rows(one, "sales")
    n = len(MARKETS)
    assert len(before["sales"]) == (2 * n if cell.depth == 1 else 3 * n)
    assert one.incidents() == []
    height = chain.height
    chain.reorganise(cell)
    if cell.change in FAULTY:
        with faulty_nodes(chain, cell, height) as faulty:
            doubtful = source(faulty, cache, start, 1)
            assert standing(rows(doubtful, "sales")) == standing(before), (
                "something was withdrawn on a doubtful answer"
            )
            (incident,) = doubtful.incidents()
            assert (incident.kind, incident.closed_at) == (DOUBT, None)
    if cell.change == "killed":
        for statement in (1, 4 + 3 * (cell.depth % 5)):
            assert killed_reading(chain.node.url, cache, start, statement) == -9
    again = source(urls, cache, start, 2)
    after = rows(again)
    clean = rows(source(urls, tmp_path / "clean", start), *FACTS)
    assert standing({table: after[table] for table in FACTS}) == standing(clean)
    gone = {"dropped": len(before["sales"]) - n, "repriced": 0, "replaced": 0}
    assert len(clean["sales"]) == len(before["sales"]) - gone.get(cell.change, -n)
    assert {row["marketplace"] for row in clean["sales"]} == set(MARKETS)
    # Nothing is lost: what stood before stands, or is superseded by a block that stands.
    assert set(keys(before)) <= set(keys(after))
    assert len(set(keys(after))) == len(keys(after))
    # The manifest has the blocks of all rows, and the parent of each block that stands.
    manifest = {row["block_hash"]: row for row in after["blocks"] if row["superseded_by"] is None}
    holding = {row["block_hash"] for table in FACTS for row in after[table] if row["superseded_by"] is None}
    assert holding == {name for name, row in manifest.items() if row["n_kept_logs"]}
    recent = [row for row in manifest.values() if not row["finalized"]]
    lowest = min(row["block_number"] for row in recent)
    assert all(row["parent_hash"] in manifest for row in recent if row["block_number"] > lowest)
    superseded = {row["superseded_by"] for some in after.values() for row in some} - {None}
    assert superseded
    assert superseded <= set(manifest)
    (incident,) = again.incidents()
    assert incident.kind == (DOUBT if cell.change in FAULTY else REORG)
    assert incident.closed_at is not None
    assert f"({cell.depth} blocks)" in incident.what
    poll(source(urls, cache, start, 3))
    assert len(again.incidents()) == 1


@pytest.mark.parametrize("chain", [0], indirect=True)
@pytest.mark.parametrize("knows_hashes", [True, False])
def test_headers_of_two_branches_are_asked_for_by_their_hash(
    chain: ReorgChain, tmp_path: Path, *, knows_hashes: bool
) -> None:
    """As when a provider has several machines, and one of them still has the branch that was left."""
    cell, start = Cell(7, "repriced"), chain.begin()
    chain.trade(cell)
    cache = tmp_path / "kept"
    before = rows(source([chain.node.url], cache, start), "sales")
    left = {
        number: chain.node.call("eth_getBlockByNumber", number, False)
        for number in map(hex, range(chain.height - 4, chain.height - 1))
    }
    chain.reorganise(cell)

    def mixed(method: str, parameters: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByHash" and not knows_hashes:
            return None
        return left.get(parameters[0], result) if method == "eth_getBlockByNumber" else result

    with serving(Passage(chain.node, mixed)) as node:
        one = source([node.url], cache, start, 1)
        found = standing(rows(one, "sales"))
        (incident,) = one.incidents()
    if knows_hashes:
        assert found == standing(rows(source([chain.node.url], tmp_path / "clean", start), "sales"))
        assert incident.kind == REORG
    else:
        assert found == standing(before)
        assert (incident.kind, incident.closed_at) == (DOUBT, None)
