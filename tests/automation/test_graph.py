"""The asset graph as a reviewed snapshot: a change of assets, dependencies, groups or checks shows in the diff.

Rewrite it on purpose with `WRITE_SNAPSHOT=1 .venv/bin/python -m pytest tests/automation/test_graph.py`.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import dagster as dg
import pytest

from ml.tables.registry import TABLES
from orchestration.definitions import build_defs
from orchestration.predictions.described import WRITTEN_BY, parents_of, writer_of
from orchestration.settings import load_settings

SNAPSHOT = Path(__file__).with_name("asset_graph.json")


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    return build_defs(load_settings(home=tmp_path_factory.mktemp("home")))


def _graph(defs: dg.Definitions) -> dict[str, dict[str, object]]:
    specs = sorted(defs.resolve_all_asset_specs(), key=lambda s: s.key.to_user_string())
    graph = defs.resolve_asset_graph()
    return {
        spec.key.to_user_string(): {
            "group": spec.group_name,
            "deps": sorted(d.asset_key.to_user_string() for d in spec.deps),
            "kinds": sorted(spec.kinds),
            "partitions": type(spec.partitions_def).__name__ if spec.partitions_def else None,
            "checks": sorted(k.name for k in graph.get_check_keys_for_assets({spec.key}))
            if hasattr(graph, "get_check_keys_for_assets")
            else sorted(k.name for k in graph.asset_check_keys if k.asset_key == spec.key),
        }
        for spec in specs
    }


def test_the_asset_graph_is_the_reviewed_one(defs):
    graph = _graph(defs)
    if os.environ.get("WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(graph, indent=1, sort_keys=True) + "\n")
    assert graph == json.loads(SNAPSHOT.read_text())


def test_every_asset_has_a_description_owners_and_kinds(defs):
    incomplete = [
        s.key.to_user_string()
        for s in defs.resolve_all_asset_specs()
        if not s.key.path[0].startswith("stg_source") and not (s.description and s.owners and s.kinds)
    ]
    assert incomplete == []


def test_nothing_runs_by_itself_until_enabled(defs):
    assert all(s.default_status == dg.DefaultScheduleStatus.STOPPED for s in defs.schedules or [])
    assert all(s.default_status == dg.DefaultSensorStatus.STOPPED for s in defs.sensors or [])


def test_the_jobs_the_documentation_names_exist(defs):
    names = {j.name for j in defs.resolve_all_job_defs()}
    assert {"ingest", "build", "train", "score", "everything", "retrain_worklist", "maintain"} <= names


def test_the_writer_of_every_table_is_known_for_its_lineage(defs):
    """What is listed by hand is neither incomplete, nor out of date, nor what the names say already."""
    parents = parents_of(defs.resolve_all_asset_specs())
    assets, tables = frozenset(parents), {table.name for table in TABLES}
    without = {table for table in tables if writer_of(table, assets) is None}
    assert without == {"ops.lake_version"}, "expected only the table that the lake itself writes"
    assert set(WRITTEN_BY.values()) <= assets, "an asset of this name is not in the graph any more"
    assert set(WRITTEN_BY) <= tables, "a table of this name is not declared any more"
    named = {table for table in WRITTEN_BY if writer_of(table, assets) != WRITTEN_BY[table]}
    assert not named, "these have the name of an asset already"


def test_every_description_is_shown_as_it_is_written(defs):
    """The UI takes it for Markdown, in which `<collection>@<version>` is an element without a name, and vanishes."""
    shown = {}
    for spec in defs.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        shown[name] = (spec.description or "").partition("#### Raw SQL")[0]
        schema = spec.metadata.get("dagster/column_schema")
        for column in schema.columns if schema else ():
            assert column.type, f"{name}.{column.name} has no type"
            assert column.description, f"{name}.{column.name} has no description"
            shown[f"{name}.{column.name}"] = column.description
    outside_of_code = {name: re.sub(r"`[^`]*`", "", text) for name, text in shown.items()}
    assert not {name for name, text in outside_of_code.items() if "<" in text}
    assert "&lt;collection&gt;@&lt;version&gt;" in shown["token_estimates.model_version"]
    assert "&lt;name&gt;" in shown["int_repeated_traits"]


def test_every_link_of_the_operations_page_leads_to_an_asset_or_a_job(defs):
    (page,) = [s.description for s in defs.resolve_all_asset_specs() if s.key == dg.AssetKey("operations")]
    assets = {s.key.to_user_string() for s in defs.resolve_all_asset_specs()}
    jobs = {job.name for job in defs.resolve_all_job_defs()}
    linked = re.findall(r"\]\((/[^)]*)\)", page)
    assert {link.rpartition("/")[2] for link in linked if link.startswith("/assets/")} <= assets
    assert {link.rpartition("/")[2] for link in linked if link.startswith("/locations/assay/jobs/")} <= jobs


def test_every_table_of_the_dbt_project_is_built_by_the_job(defs):
    specs = [s for s in defs.resolve_all_asset_specs() if "dbt" in s.kinds]
    assert {s.group_name for s in specs} == {"staging", "intermediate", "marts"}
    built = defs.resolve_job_def("build").asset_layer.selected_asset_keys
    assert {s.key for s in specs} <= built
