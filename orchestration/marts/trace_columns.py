"""Where each column of a mart comes from, read from the SQL that dbt compiles: dbt_project/column_lineage.json.

    python -m orchestration.marts.trace_columns

Run it after a model or macro has changed; a test says when. It is kept in a file, because compiling takes 15 s.
Here: compiling on an empty lake, and tracing with sqlglot. Not here: showing it in the interface
(`orchestration.marts.column_lineage`).
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from dbt.artifacts.schemas.run import RunExecutionResult
from sqlglot import exp, parse_one
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import MappingSchema

from lake.config import CATALOG_ALIAS, LakeConfig
from lake.connection import Lake
from lake.dbt import dbt_environment
from lake.storage import write_whole
from ml.tables.registry import TABLES
from orchestration.marts.column_lineage import FILE, Lineage, text_of_models
from orchestration.marts.dbt_runner import QUICK, environment, invoke_dbt
from orchestration.marts.manifest import prepared_manifest, shared_text
from orchestration.resources import DBT_PROJECT

DIALECT = "duckdb"

Columns = dict[str, dict[str, str]]
"""`schema.table` to column to type."""


def main() -> None:
    """Trace all models and write the file."""
    with tempfile.TemporaryDirectory(prefix="assay-lineage-") as scratch:
        compiled = compile_models(Lake(LakeConfig(Path(scratch)), TABLES))
    known = known_columns()
    found = {
        name: trace(model["compiled_code"], list(model["columns"]), known)
        for name, model in sorted(compiled.items())
    }
    write_whole(FILE, (json.dumps({"models": text_of_models(), "columns": found}, indent=1) + "\n").encode())
    print(f"{FILE}: {sum(map(len, found.values()))} columns of {len(found)} models")


def compile_models(lake: Lake) -> dict[str, dict[str, Any]]:
    """`schema.table` → the node of dbt, compiled as for a build of everything in a lake.

    Raises:
        RuntimeError: dbt does not compile a model.
    """
    with tempfile.TemporaryDirectory(prefix="assay-compiled-") as scratch:
        folders = {"project-dir": DBT_PROJECT, "profiles-dir": DBT_PROJECT}
        folders |= {"target-path": Path(scratch) / "target", "log-path": Path(scratch) / "logs"}
        where = [part for option, folder in folders.items() for part in (f"--{option}", str(folder))]
        options = ["--full-refresh", "--quiet", "--select", "resource_type:model"]
        with environment({**dbt_environment(lake), **shared_text()}):
            outcome = invoke_dbt(["compile", *options, *where, *QUICK], prepared_manifest())
        if not (outcome.success and isinstance(outcome.result, RunExecutionResult)):
            raise RuntimeError(f"expected models that compile, found: {outcome.exception}")
        nodes = [result.node.to_dict() for result in outcome.result.results]
    return {f"{node['schema']}.{node['alias']}": node for node in nodes if node["resource_type"] == "model"}


def known_columns() -> Columns:
    """Columns of the lake's tables, of all models and of seeds."""
    known = {table.name: {column.name: column.type for column in table.columns} for table in TABLES}
    for node in prepared_manifest().nodes.values():
        if node.resource_type in ("model", "seed"):
            columns = {name: column.data_type or "varchar" for name, column in node.columns.items()}
            known[f"{node.schema}.{node.alias}"] = columns
    return known


def trace(sql: str, columns: list[str], known: Columns) -> Lineage:
    """Each column of a query with the columns of tables that it is computed from; one that has none is a constant.

    Args:
        sql: A query over tables of the lake.
        columns: Its columns.
        known: Columns of those tables.
    """
    schema = MappingSchema(dialect=DIALECT)
    for name, types in known.items():
        schema.add_table(f"{CATALOG_ALIAS}.{name}", types, dialect=DIALECT)
    query = qualify(
        parse_one(sql, dialect=DIALECT),
        dialect=DIALECT,
        schema=schema,
        catalog=CATALOG_ALIAS,
        validate_qualify_columns=False,
    )
    _order_unions(query)
    # All columns at once, without a copy of the query for each step: 2 s in place of 30.
    found = lineage(None, query, schema, scope=build_scope(query), dialect=DIALECT, trim_selects=False)
    return {column: _origins(found[column]) for column in columns}


def _order_unions(query: exp.Expr) -> None:
    """Give all queries of a `union by name` the same columns in one order: a lineage follows them by position."""
    for union in reversed(list(query.find_all(exp.SetOperation))):
        if not union.args.get("by_name"):
            continue
        selects = [*_selects(union.left), *_selects(union.right)]
        names = list(dict.fromkeys(name for select in selects for name in select.named_selects))
        for select in selects:
            own = {one.alias_or_name: one for one in select.expressions}
            select.set("expressions", [own.get(name) or exp.alias_(exp.null(), name) for name in names])


def _selects(query: exp.Expr) -> list[exp.Select]:
    inner = query.unnest()
    if isinstance(inner, exp.SetOperation):
        return [*_selects(inner.left), *_selects(inner.right)]
    return [inner] if isinstance(inner, exp.Select) else []


def _origins(node: Node) -> list[str]:
    """Columns of tables at the end of the steps; `count(*)` and constants come from none."""
    found = set()
    for step in node.walk():
        if isinstance(step.expression, exp.Table) and step.expression.db:
            column = parse_one(step.name, dialect=DIALECT)
            if isinstance(column, exp.Column) and not column.is_star:
                found.add(f"{step.expression.db}.{step.expression.name}.{column.name}")
    return sorted(found)


if __name__ == "__main__":
    main()
