"""One declaration a table: what is made from it agrees, with dbt's YAML and with the page of contracts too."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
import yaml

from lake.config import SCHEMAS
from lake.tables import Table, create_missing, fingerprint, sql_type, stored_columns
from ml.tables.document import COLUMNS_PAGE, COMMAND, PAGE, renewed
from ml.tables.registry import TABLES, table

ROOT = Path(__file__).resolve().parents[4]
EVERY = pytest.mark.parametrize("declared", TABLES, ids=lambda t: t.name)


@EVERY
def test_a_declaration_is_complete(declared: Table) -> None:
    schema, _, name = declared.name.partition(".")
    assert schema in SCHEMAS
    assert name
    assert len(declared.description) > 20
    assert declared.replaced
    assert set(declared.key) <= set(declared.column_names)
    assert len(set(declared.column_names)) == len(declared.columns)
    assert all(column.description for column in declared.columns)
    assert {table(state).name for state in declared.state} == set(declared.state)


def test_no_table_is_declared_twice() -> None:
    assert len({declared.name for declared in TABLES}) == len(TABLES)
    with pytest.raises(LookupError, match="declared in ml/tables"):
        table("ops.unknown_table")


def test_tables_and_arrow_schemas_are_those_declared() -> None:
    con = duckdb.connect()
    assert create_missing(con, TABLES) == [declared.name for declared in TABLES]
    assert create_missing(con, TABLES) == []
    assert stored_columns(con) == {t.name: {c.name: c.type for c in t.columns} for t in TABLES}
    for declared in TABLES:
        for column, field in zip(declared.columns, declared.arrow(), strict=True):
            assert column.type.endswith("[]") or sql_type(field.type) == column.type
        made = con.execute(f"select * from {declared.name}").to_arrow_table().schema
        assert [f.type for f in made] == [f.type for f in declared.arrow()], declared.name


def test_words_do_not_change_the_fingerprint_and_columns_do() -> None:
    one = Table("ops.one", "words", (), "as a whole", TABLES[0].columns)
    reworded = Table("ops.one", "other words", (), "never", TABLES[0].columns)
    wider = Table("ops.one", "words", (), "as a whole", TABLES[0].columns[:-1])
    assert fingerprint([one]) == fingerprint([reworded])
    assert fingerprint([one]) != fingerprint([wider])


def test_dbt_agrees_about_sources_and_marts() -> None:
    models = ROOT / "dbt_project" / "models"
    sources = yaml.safe_load((models / "sources.yml").read_text())["sources"]
    marts = [
        model
        for name in ("_marts.yml", "_lots.yml")
        for model in yaml.safe_load((models / "marts" / name).read_text())["models"]
    ]
    in_dbt = {
        f"{source['schema']}.{t['name']}": [(c["name"], c["data_type"]) for c in t["columns"]]
        for source in sources
        for t in source["tables"]
    } | {f"marts.{m['name']}": [(c["name"], c["data_type"]) for c in m["columns"]] for m in marts}
    declared = {
        t.name: [(c.name, c.type) for c in t.columns] for t in TABLES if t.name.startswith(("raw.", "marts."))
    }
    assert in_dbt == declared


@pytest.mark.parametrize(("path", "marker"), [(PAGE, "tables"), (COLUMNS_PAGE, "columns")])
def test_the_pages_of_tables_and_columns_are_up_to_date(path: Path, marker: str) -> None:
    page = path.read_text(encoding="utf-8")
    assert renewed(page) == page, f"docs/{path.name} is out of date: run `{COMMAND}`"
    assert {t.name.split(".")[0] for t in TABLES} == set(re.findall(rf"<!-- {marker}: (\w+) -->", page))


def test_the_page_of_columns_lists_every_column_or_names_its_place() -> None:
    page = COLUMNS_PAGE.read_text(encoding="utf-8")
    for declared in TABLES:
        part = page.split(f"\n### {declared.name}\n")[1].split("\n###")[0]
        listed = re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)
        missing = list(declared.column_names[len(listed) :])
        assert listed == list(declared.column_names[: len(listed)])
        if missing:
            assert f"`{missing[0]}` … `{missing[-1]}` |  | the last {len(missing)} columns of" in part


def test_no_cell_is_taken_for_html_or_ends_early() -> None:
    page = COLUMNS_PAGE.read_text(encoding="utf-8")
    assert "row:&lt;source_row>" in page
    assert "`index <market>`" in page
    assert all(line.count(" | ") == 2 for line in page.splitlines() if line.startswith("| `"))


def test_only_the_registry_makes_tables() -> None:
    """Temporary tables, Parquet and the SQLite of the outbox and of what sources keep are no tables of the lake."""
    own_files = (
        "orchestration/alerts/store.py",
        "sources/ethereum/store_tables.py",
        "sources/web_api/store.py",
    )
    other_databases = {ROOT / file for file in own_files}
    ddl = re.compile(r"create table|create or replace table|where false\b", re.IGNORECASE)
    elsewhere = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for package in ("ml", "orchestration", "sources")
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if ddl.search(line) and path not in other_databases
    ]
    assert elsewhere == []
