"""Small folders of files as people have them, through the door and the rules of raw, in one process.

The cases and what is right about each lie with the shared data, as does the program that compares whole runs. Here each
case goes through the source in a second or so: the figures that a source already decides (collections, tokens, rows in
quarantine, files that must be named) are compared by the same rules. `make cases` runs the shared program itself.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sources.files.source import FilesSource
from sources.protocol import SourceError

pytestmark = pytest.mark.golden

_DATA = Path(os.environ.get("ASSAY_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
_CASES = sorted(path.parent for path in (_DATA / "cases").glob("*/expect.json"))
# What the marts or the models decide, not the source.
_LATER = {
    "sales_in_marts", "arms_length", "tokens_valued", "duplicates", "price_eth", "arms_length_price_eth",
    "estimates_eth", "max_seconds", "tokens", "tokens_with_traits",
}  # fmt: skip


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    """The shared program, as a module."""
    path = _DATA / "cases" / "check_cases.py"
    if not path.exists():
        pytest.skip("the cases are not here: set ASSAY_TEST_DATA to the folder that holds cases/")
    spec = importlib.util.spec_from_file_location("check_cases", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", _CASES or [None], ids=lambda c: c.name if c else "absent")
def test_the_source_makes_of_a_case_what_is_right(case: Path | None, checker: ModuleType) -> None:
    assert case is not None
    expect: dict[str, Any] = json.loads((case / "expect.json").read_text(encoding="utf-8"))
    run = checker.Run(0, 0.0, "")
    source = FilesSource(case / "data")
    try:
        source.first_known()
    except SourceError as error:
        run = checker.Run(error.exit_code, 0.0, f"assay: {error}")
        assert not checker.judge(expect, run)
        return
    tables = source.everything()
    sales, traits = tables["sales"].rows, tables["token_traits"].rows
    seen = {
        name: set(zip(*(t.column(c).to_pylist() for c in ("collection", "token_id")), strict=True))
        for name, t in (("sales", sales), ("traits", traits))
    }
    reasons = [r for t in tables.values() for r in t.rejected.to_pylist()]
    message = [
        f"{r['source_row']} {r['reason']} {r['column_name']} {r['expected']} {r['found']}" for r in reasons
    ]
    run.output = "\n".join([*source.left_out(), *message])
    times, widths = (sales.column(c).to_pylist() for c in ("event_time", "time_uncertainty_s"))
    run.figures = {
        "sales_in_marts": sales.num_rows,
        "collections": len(set(sales.column("collection").to_pylist())),
        "chains": len(set(sales.column("chain").to_pylist())),
        "transfers": tables["transfers"].rows.num_rows,
        "quarantined": len(reasons),
        "event_time": [min(times), max(times)],
        "time_uncertainty_s": [min(widths), max(widths)],
    }
    run.transactions = {
        h for t in ("sales", "transfers") for h in tables[t].rows.column("tx_hash").to_pylist()
    }
    # Sales that are no price are excluded later: at least as many as there will be tokens are here.
    tokens = expect.get("tokens", 0)
    assert len(seen["sales"]) >= (tokens[0] if isinstance(tokens, list) else tokens)
    assert len(seen["sales"] & seen["traits"]) >= expect.get("tokens_with_traits", 0)
    problems = checker.judge({k: v for k, v in expect.items() if k not in _LATER}, run)
    assert not problems, [str(p) for p in problems]
