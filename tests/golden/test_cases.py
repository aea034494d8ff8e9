"""The shared cases through source, marts and estimates, in this process: many cases are one market.

A case by itself is a whole run of half a minute. Here each case is read by a source of its own, its collections,
sources and nameless transactions get the case's name, and the job runs once on all of them. Cases whose rates differ
from those of the others are a market of their own, of which only the stages run whose tables are compared. `make cases`
runs the shared program, one home for each case.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.real_data import CASES
from lake.config import LakeConfig
from lake.connection import Lake
from orchestration.definitions import open_location
from orchestration.home import open_instance, prepare_home
from orchestration.runs.job_runner import home_runner
from orchestration.runs.main_job import ingest_and_build, run_everything
from orchestration.settings import load_settings
from sources.contract import RAW_TABLES
from sources.files.source import FilesSource
from sources.protocol import SourceError

pytestmark = [pytest.mark.golden, pytest.mark.slow]

_CASES = sorted(path.parent for path in CASES.glob("*/expect.json"))
_OWN_RATES = {"rates_weth_only"}
_PATTERN = {"exchange_rates": "rates", "token_traits": "traits"}
_SEPARATOR = " | "


@dataclass
class Read:
    """What a case's own source made of its files.

    Attributes:
        tables: Raw table → rows, named after the case.
        quarantined: Rows in quarantine.
        exit_code: 0, or that of the refusal.
        output: What a user is shown.
    """

    tables: dict[str, pa.Table] = field(default_factory=dict)
    quarantined: int = 0
    exit_code: int = 0
    output: str = ""


@dataclass(frozen=True)
class Markets:
    """The markets of all cases, and what the source said of each case."""

    read: dict[str, Read]
    homes: dict[str, Path]


def _read(case: Path) -> Read:
    try:
        source = FilesSource(case / "data")
        source.first_known()
    except SourceError as error:
        return Read(exit_code=error.exit_code, output=f"assay: {error}")
    tables = source.everything()
    refused = [r for t in tables.values() for r in t.rejected.to_pylist()]
    stated = [
        f"{r['source_row']} {r['reason']} {r['column_name']} {r['expected']} {r['found']}" for r in refused
    ]
    rows = {name: _named(t.rows, case.name) for name, t in tables.items() if t.rows.num_rows}
    return Read(rows, len(refused), 0, "\n".join([*source.left_out(), *stated]))


def _named(rows: pa.Table, case: str) -> pa.Table:
    """The rows with collections, sources and nameless transactions of this case only."""
    for name in ("collection", "source", "source_row"):
        if name in rows.column_names:
            texts = rows.column(name).cast(pa.string())
            named = pc.binary_join_element_wise(pa.scalar(case), texts, _SEPARATOR)
            rows = rows.set_column(rows.schema.get_field_index(name), name, named)
    if "tx_hash" in rows.column_names:
        named = pc.replace_substring_regex(rows.column("tx_hash"), r"^row:", f"row:{case}/")
        rows = rows.set_column(rows.schema.get_field_index("tx_hash"), "tx_hash", named)
    return rows


@pytest.fixture(scope="module")
def markets(tmp_path_factory: pytest.TempPathFactory) -> Markets:
    if not _CASES:
        pytest.skip("the cases are not here: set ASSAY_TEST_DATA to the folder that holds cases/")
    read = {case.name: _read(case) for case in _CASES}
    homes: dict[str, Path] = {}
    for own in (False, True):
        names = [n for n, r in read.items() if r.tables and (n in _OWN_RATES) is own]
        home = _run([read[n].tables for n in names], tmp_path_factory.mktemp("cases"), whole=not own)
        homes |= dict.fromkeys(names, home)
    return Markets(read, homes)


def _run(cases: list[dict[str, pa.Table]], folder: Path, *, whole: bool) -> Path:
    """The whole job, or marts, features and estimates alone, on the rows of these cases; returns its home."""
    data = folder / "data"
    data.mkdir()
    for name in RAW_TABLES:
        parts = [tables[name].cast(RAW_TABLES[name].schema) for tables in cases if name in tables]
        if parts:
            rows = pa.concat_tables(parts)
            if name == "exchange_rates":
                rows = duckdb.sql(
                    "select distinct on (symbol, granularity, event_time) * from rows order by all"
                ).to_arrow_table()
            pq.write_table(rows, data / f"{_PATTERN.get(name, name)}.parquet")
    settings = load_settings(home=folder / "home", source="files", data_dir=data)
    prepare_home(settings)
    location = open_location(settings)
    with open_instance(settings) as instance:
        if whole:
            run_everything(location, instance)
        else:
            with home_runner(location, instance) as runner:
                ingest_and_build(runner)
                runner.run("score")
    return folder / "home"


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    """The shared program, as a module."""
    spec = importlib.util.spec_from_file_location("check_cases", CASES / "check_cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _figures(home: Path, case: str, checker: ModuleType) -> dict[str, Any]:
    """The figures of one case, by the shared program's queries on the rows of this case."""
    with Lake(LakeConfig(home=home)).read() as con:
        for schema, table in _tables(checker):
            con.execute(
                f"create or replace temp view {schema}_{table} as"
                f" select * from {schema}.{table} where starts_with({_who(table)}, '{case}{_SEPARATOR}')"
            )

        def ask(query: str) -> tuple[Any, ...]:
            for schema, table in _tables(checker):
                query = query.replace(f"{schema}.{table}", f"{schema}_{table}")
            row = con.execute(query).fetchone()
            assert row is not None
            return row

        found: dict[str, Any] = {
            name: ask(query)[0] for name, query in checker.COUNTS.items() if "quarantine" not in query
        }
        for name, query in checker.SPANS.items():
            least, most = ask(query)
            found[name] = None if least is None else [least, most]
        columns = [
            d[0] for d in con.execute("select * from marts_sales_reconciliation limit 0").description or []
        ]
        excluded = " + ".join(c for c in columns if c.startswith("excluded_duplicate"))
        found["duplicates"] = ask(
            f"select coalesce(sum({excluded}), 0)::bigint from marts.sales_reconciliation"
        )[0]
    return found


def _tables(checker: ModuleType) -> Iterator[tuple[str, str]]:
    yield from (
        ("marts", "fct_sales"),
        ("marts", "dim_tokens"),
        ("marts", "sales_reconciliation"),
        ("raw", "transfers"),
        ("predictions", "token_estimates"),
    )


def _who(table: str) -> str:
    return "source" if table == "sales_reconciliation" else "collection"


@pytest.mark.parametrize("case", _CASES or [None], ids=lambda c: c.name if c else "absent")
def test_the_whole_job_makes_of_a_case_what_is_right(
    case: Path | None, markets: Markets, checker: ModuleType
) -> None:
    assert case is not None
    expect: dict[str, Any] = json.loads((case / "expect.json").read_text(encoding="utf-8"))
    expect.pop("max_seconds", None)
    read = markets.read[case.name]
    run = checker.Run(read.exit_code, 0.0, read.output)
    if read.tables:
        run.figures = {
            "quarantined": read.quarantined,
            **_figures(markets.homes[case.name], case.name, checker),
        }
        run.transactions = {
            h
            for t in ("sales", "transfers")
            if t in read.tables
            for h in read.tables[t].column("tx_hash").to_pylist()
        }
    problems = checker.judge(expect, run)
    assert not problems, [str(p) for p in problems]
