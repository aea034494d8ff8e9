"""The shell blocks of the README and of the tutorial, pasted one after the other into one folder.

Here: that each ends well, and that what it prints looks like what the page shows. The market is small by settings of
the environment alone; not one word of a block is another one here. Not here: whether the numbers on a page are those
of today (`make docs-numbers`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.page_samples import Asked, asked_by
from tests.pasted import ROOT, Block, Checkout, blocks_of

pytestmark = pytest.mark.slow

PAGES = ("README.md", "docs/tutorial.md")
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SMALL = {"ASSAY_COLLECTIONS": "4", "ASSAY_REFITS": "2"}
NOT_RUN = {
    "make ui": "it stays until Ctrl-C; its processes are tested in test_ui_processes.py",
    "make serve": "it stays until Ctrl-C; tested in unit/orchestration/cli/test_serve.py",
    "make test": "it would run this test",
    "make drills": "half an hour; each drill has a test in test_drills_played.py",
    "make check": "it runs tests",
    "make lint": "it installs the tool of the site, and runs beside the tests",
    "make docs": "it installs the tool of the site",
    "make bench": "many minutes",
    ".venv/bin/assay run --source files --data-dir DIR": (
        "DIR stands for a folder of the reader; test_bad_input.py runs it on one"
    ),
    ".venv/bin/assay run --home .assay-faults --collections 20 --days 300 --faults crash@200,wash_storm@250": (
        "a second market from its beginning, 20 s; faults are injected by every drill"
    ),
}
OF_THE_MARKET = ("collections valued by", "decisions of this run", "excluded", "later", "mean |log error|")
"""Lines that depend on what happened in a market: a page may show others."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = Checkout(tmp_path_factory.mktemp("checkout"), SMALL)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pasted() -> set[tuple[str, ...]]:
    """What was run already: pasted a second time it would do the same again."""
    return set()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{Path(block.page).stem}: {block.commands[0]}")
def test_a_block_runs_as_it_is_written(
    block: Block, checkout: Checkout, pasted: set[tuple[str, ...]]
) -> None:
    if not block.run or block.run in pasted:
        return
    pasted.add(block.run)
    done = checkout.run(block)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout, block.program
    assert "Traceback" not in done.stderr


def test_what_is_not_run_is_listed_in_the_page_and_here() -> None:
    for block in BLOCKS:
        assert set(block.left_out) <= set(block.commands), (
            f"{block.page}: {block.left_out} is not in its block"
        )
    assert {command for block in BLOCKS for command in block.left_out} == set(NOT_RUN)


LAST_DAY = 366
"""The day to which the blocks let the market go on; what a page shows of later ones is in no block."""
SHOWN = [
    (page, asked, shown)
    for page in PAGES
    for asked, shown in asked_by((ROOT / page).read_text(encoding="utf-8"))
    if asked.day <= LAST_DAY
]


@pytest.mark.parametrize(("page", "asked", "shown"), SHOWN)
def test_what_is_printed_looks_like_what_the_page_shows(
    page: str, asked: Asked, shown: str, checkout: Checkout
) -> None:
    assert asked.words in checkout.printed, f"{page} shows assay {asked.words}, which no block runs"
    promised = [label for label in map(_label, shown.splitlines()) if label]
    promised = [label for label in promised if not label.startswith(OF_THE_MARKET)]
    assert promised
    # A command that is run again may do less, and print less.
    missing = [
        [label for label in promised if label not in set(map(_label, output.splitlines()))]
        for output in checkout.printed[asked.words]
    ]
    assert [] in missing, (missing, checkout.printed[asked.words])


def test_the_promises_about_running_again_are_kept(checkout: Checkout) -> None:
    result = json.loads((checkout.folder / "result.json").read_text())
    assert result["trained"] == {}, "nothing changed in the market, so nothing is trained again"
    assert result["as_of"] == "2026-01-02T00:00:00Z", "one day was let pass"
    assert result["errors"]
    assert sum(row["difference"] for row in result["reconciliation"]) == 0
    assert result["truth"]["n"] == result["tokens_estimated"] > 0


def _label(line: str) -> str:
    """What a line is about: its first cell, up to its first number or the name of a model."""
    cells = [cell for cell in re.split(r"[│┃]", line) if cell.strip()]
    return (
        re.split(r"[\d:–]|\b[0-9a-f]{12}\b", cells[0])[0].strip(" ─━┏┓┗┛┡┩╇┳┴┬└┘┌┐├┤┼╭╮╰╯…") if cells else ""
    )
