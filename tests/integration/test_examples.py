"""The examples run as their first lines say, on a home that `assay run` has made."""

import importlib.util
import re
from pathlib import Path

import duckdb
import pytest

from tests.homes import finished_market

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_reads_a_finished_home(
    example: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home, result = finished_market(tmp_path_factory)
    spec = importlib.util.spec_from_file_location(example.stem, example)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    exported = tmp_path / "estimates.parquet"
    module.main(home, exported)
    shown = capsys.readouterr().out
    assert "mdape_percent" in shown
    assert not re.search(r"\b0 rows", shown)
    [(rows,)] = duckdb.sql(f"select count(*) from '{exported}' where estimate_eth is not null").fetchall()
    assert rows == result["tokens_estimated"]
