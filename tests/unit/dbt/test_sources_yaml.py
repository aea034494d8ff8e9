"""What dbt believes about raw tables is how they are declared."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ml.tables.raw import TABLES

PROJECT = Path(__file__).resolve().parents[3] / "dbt_project"


def test_sources_agree_with_the_declared_tables() -> None:
    declared = yaml.safe_load((PROJECT / "models" / "sources.yml").read_text())["sources"][0]["tables"]
    found = {t["name"]: {c["name"]: c["data_type"] for c in t["columns"]} for t in declared}
    promised = {
        table.name.removeprefix("raw."): {column.name: column.type for column in table.columns}
        for table in TABLES
        if table.name.startswith("raw.")
    }
    assert found == promised


def test_no_model_reads_the_hidden_truth() -> None:
    readers = [
        path.name
        for path in PROJECT.rglob("*.sql")
        if re.search(r"\btruth\s*\.", path.read_text(), re.IGNORECASE)
    ]
    assert readers == []
    assert "truth" not in (PROJECT / "models" / "sources.yml").read_text()


def test_every_model_and_column_is_described() -> None:
    described: dict[str, list[str]] = {}
    for path in (PROJECT / "models").rglob("_*.yml"):
        for model in yaml.safe_load(path.read_text())["models"]:
            assert len(model["description"]) > 20, model["name"]
            described[model["name"]] = [c["name"] for c in model["columns"] if not c.get("description")]
    assert set(described) == {path.stem for path in (PROJECT / "models").rglob("*.sql")}
    assert not any(described.values()), described
