"""The data dictionary: all tables and columns, units by description, examples shown safely, lineage both ways."""

from __future__ import annotations

import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.tables.dictionary import EXAMPLE_CHARACTERS, dictionary, unit_of
from ml.tables.registry import TABLES

MODELS = {
    "nodes": {
        "model.assay.fct_sales": {
            "resource_type": "model",
            "schema": "marts",
            "name": "fct_sales",
            "description": "Sales.",
            "config": {"materialized": "incremental"},
            "depends_on": {"nodes": ["model.assay.stg_sales", "source.assay.raw.sales", "macro.assay.other"]},
            "columns": {},
        },
        "model.assay.stg_sales": {
            "resource_type": "model",
            "schema": "staging",
            "name": "stg_sales",
            "description": "Sales,\n  as they arrive.",
            "config": {"materialized": "view"},
            "depends_on": {"nodes": ["source.assay.raw.sales"]},
            "columns": {"x": {"name": "price_eth", "data_type": "double", "description": "Price in ETH."}},
        },
        "test.assay.unique": {"resource_type": "test", "schema": "tests", "name": "unique"},
    },
    "sources": {
        "source.assay.raw.sales": {
            "resource_type": "source",
            "schema": "raw",
            "name": "the_sales",
            "identifier": "sales",
        }
    },
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return Lake(LakeConfig(tmp_path_factory.mktemp("home"), threads=1), TABLES)


@pytest.fixture
def con(lake):
    with lake.read() as con:
        yield con


def by_name(con, *given):
    found = dictionary(con, *given)
    names = [entry["table"] for entry in found]
    assert names == sorted(set(names))
    return {entry["table"]: entry for entry in found}


def column(entry, name):
    return next(one for one in entry["columns"] if one["name"] == name)


def test_every_declared_table_and_column_is_there_also_when_all_are_empty(con):
    found = by_name(con)
    assert {name: [one["name"] for one in entry["columns"]] for name, entry in found.items()} == {
        table.name: [one.name for one in table.columns] for table in TABLES
    }
    rates = found["raw.exchange_rates"]
    assert (rates["rows"], rates["newest"]) == (0, None)
    assert {one["example"] for one in rates["columns"]} == {None}


def test_rows_newest_time_and_examples_are_those_of_the_table(lake):
    hostile = "<script>\u202e" + "x" * 500
    with lake.write("listings") as con:
        con.execute(
            "insert into raw.listings (order_id, known_at, price_native) values"
            " (null, timestamp '2026-01-01', 5), ($1, timestamp '2026-03-01 12:00:00', 7),"
            " ($1, timestamp '2026-02-01', 6)",
            [hostile],
        )
    with lake.read() as con:
        listings = by_name(con)["raw.listings"]
    assert (listings["rows"], listings["newest_of"]) == (3, "known_at")
    assert listings["newest"] == "2026-03-01T12:00:00Z"
    assert column(listings, "price_native")["example"] == "5.0", "the smallest"
    assert column(listings, "maker")["example"] is None, "no value"
    example = column(listings, "order_id")["example"]
    assert example.startswith("<script>")
    assert "\u202e" not in example
    assert len(example) <= EXAMPLE_CHARACTERS + len("\\u202e")
    with lake.write("none left") as con:
        con.execute("delete from raw.listings")
    with lake.read() as con:
        assert {one["example"] for one in by_name(con)["raw.listings"]["columns"]} == {None}


def test_models_of_dbt_are_added_and_lineage_goes_both_ways(con):
    found = by_name(con, MODELS)
    view = found["staging.stg_sales"]
    assert (view["kind"], view["description"], view["rows"]) == ("view", "Sales, as they arrive.", None)
    assert column(view, "price_eth")["unit"] == "ETH"
    assert found["marts.fct_sales"]["upstream"] == ["raw.sales", "staging.stg_sales"]
    assert found["raw.sales"]["downstream"] == ["marts.fct_sales", "staging.stg_sales"]
    assert found["marts.fct_sales"]["kind"] == "table", "a declared table keeps what is declared of it"
    assert "tests.unique" not in found


def test_lineage_by_the_graph_is_used_where_dbt_does_not_build_the_table(con):
    given = {
        "marts.fct_sales": ["ops.set_aside"],
        "features.sale_features": ["marts.fct_sales", "no.such_table", "features.sale_features"],
    }
    found = by_name(con, MODELS, given)
    assert found["marts.fct_sales"]["upstream"] == ["raw.sales", "staging.stg_sales"]
    assert found["features.sale_features"]["upstream"] == ["marts.fct_sales"]
    assert "features.sale_features" in found["marts.fct_sales"]["downstream"]


@pytest.mark.parametrize(
    ("kind", "description", "unit"),
    [
        ("timestamp", "When it was sold.", "UTC"),
        ("date", "Day.", "UTC day"),
        ("double", "Price, ETH.", "ETH"),
        ("double", "Distance in ln ETH.", "ln ETH"),
        ("double[]", "Prices, ETH.", "ETH"),
        ("decimal(38,0)", "Amount in units of the currency.", "currency"),
        ("double", "Share of sales.", "fraction"),
        ("bigint", "Whole days between.", "days"),
        ("double", "Time since the sale, days.", "days"),
        ("double", "Half-width in seconds.", "s"),
        ("double", "Hours until it is spent.", "h"),
        ("integer", "Sales of the last 30 days.", ""),
        ("double", "Burn rate of the last 6 hours.", ""),
        ("bigint", "Price is a share of a bundle's.", ""),
        ("double", "Standard deviations of ln(sum).", "sd"),
        ("varchar", "Price in ETH, as text.", ""),
        ("bigint", "Number of rows.", ""),
    ],
)
def test_the_unit_of_a_column(kind, description, unit):
    assert unit_of(kind, description) == unit
