"""Where columns come from: traced in SQL of every shape that the models have, and not out of date."""

from __future__ import annotations

import json
import re
from typing import Any

import dagster as dg
import pytest

from orchestration.definitions import defs
from orchestration.marts.column_lineage import FILE, described, text_of_models, traced
from orchestration.marts.manifest import dbt_project
from orchestration.marts.trace_columns import trace

KNOWN = {
    "raw.sales": {"id": "varchar", "price": "double", "currency": "varchar"},
    "raw.rates": {"currency": "varchar", "rate": "double"},
}

QUERIES: dict[str, dict[str, list[str]]] = {
    "select id, price as p from lake.raw.sales": {"id": ["raw.sales.id"], "p": ["raw.sales.price"]},
    "select * from lake.raw.rates": {"currency": ["raw.rates.currency"], "rate": ["raw.rates.rate"]},
    "with s as (select * exclude (currency) from lake.raw.sales) select price * 2 as p, id from s": {
        "p": ["raw.sales.price"],
        "id": ["raw.sales.id"],
    },
    "select s.price * r.rate as eth from lake.raw.sales s join lake.raw.rates r using (currency)": {
        "eth": ["raw.rates.rate", "raw.sales.price"]
    },
    "select count(*) as n, 'x' as kind from lake.raw.sales": {"n": [], "kind": []},
    "select row_number() over (partition by currency order by id) as seq from lake.raw.sales": {
        "seq": ["raw.sales.currency", "raw.sales.id"]
    },
    # By position `rate` would come from `currency`.
    "select id, price as rate from lake.raw.sales union all by name select rate, currency as id from lake.raw.rates": {
        "id": ["raw.rates.currency", "raw.sales.id"],
        "rate": ["raw.rates.rate", "raw.sales.price"],
    },
    # A side without a column, in a chain of three.
    "select id from lake.raw.sales union all by name select rate from lake.raw.rates"
    " union all by name select price as rate, id from lake.raw.sales": {
        "id": ["raw.sales.id"],
        "rate": ["raw.rates.rate", "raw.sales.price"],
    },
}


@pytest.mark.parametrize("sql", QUERIES)
def test_a_column_comes_from_the_columns_that_it_is_computed_from(sql: str) -> None:
    assert trace(sql, list(QUERIES[sql]), KNOWN) == QUERIES[sql]


def test_the_traces_are_of_the_models_as_they_are() -> None:
    kept = json.loads(FILE.read_bytes())["models"]
    assert kept == text_of_models(), "models have changed: python -m orchestration.marts.trace_columns"


def test_every_column_of_every_model_was_traced_to_columns_that_there_are() -> None:
    parsed = json.loads(dbt_project().manifest_path.read_bytes())
    models = {
        f"{n['schema']}.{n['alias']}": n for n in parsed["nodes"].values() if n["resource_type"] == "model"
    }
    assert {name: set(columns) for name, columns in traced().items()} == {
        name: set(node["columns"]) for name, node in models.items()
    }
    described = [*parsed["nodes"].values(), *parsed["sources"].values()]
    columns = {
        f"{n['schema']}.{n.get('alias') or n['identifier']}": set(n["columns"])
        for n in described
        if n["resource_type"] in ("model", "seed", "source")
    }
    unknown = {
        origin
        for lineage in traced().values()
        for origins in lineage.values()
        for origin in origins
        if origin.rpartition(".")[0] in columns
        and origin.rpartition(".")[2] not in columns[origin.rpartition(".")[0]]
    }
    assert unknown == set()


def test_the_interface_is_given_columns_of_assets_and_no_table_comes_from_itself() -> None:
    definitions = defs()
    keys = {key.path[-1] for key in definitions.resolve_all_asset_keys()}
    for table in traced():
        spec = definitions.resolve_asset_graph().get(dg.AssetKey(table.partition(".")[2]))
        for dep in [dep for deps in lineage_of(spec).values() for dep in deps]:
            assert dep.asset_key.path[-1] in keys
            assert dep.asset_key != spec.key
    staged = definitions.resolve_asset_graph().get(dg.AssetKey("stg_sales"))
    assert [(d.asset_key.path, d.column_name) for d in lineage_of(staged)["chain"]] == [
        (["raw_sales"], "chain")
    ]
    columns = {c.name: c.description for c in staged.metadata["dagster/column_schema"].columns}
    assert columns["chain"].endswith("From sales.chain.")


def lineage_of(node: Any) -> dict[str, list[dg.TableColumnDep]]:
    found = node.metadata.get("dagster/column_lineage")
    return {} if found is None else found.deps_by_column


def test_a_description_names_the_first_and_counts_the_others() -> None:
    assert described("marts.fct_sales", "chain", "Chain of the asset") == (
        "Chain of the asset. From int_sales_classified.chain."
    )
    assert described("marts.dim_collections", "tokens", "Tokens.") == "Tokens."
    assert re.search(
        r"\. From (\S+, ){5}\S+ and \d+ more\.$", described("staging.stg_sales", "sale_id", "Key.")
    )
