"""Groups staging, intermediate and marts: the dbt project, every model an asset and every data test a check.

Here: how dbt's nodes become assets. Not here: any SQL (`dbt_project/`), running dbt (`orchestration.marts.dbt_runner`).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DbtProject, dbt_assets

from lake.dbt import dbt_environment
from ml.text.markdown import markdown_prose
from orchestration.conventions import DATA_TEAM, LAKE_WRITER, shown_columns
from orchestration.dagster_resources import AssayResource
from orchestration.marts.column_lineage import described, lineage_metadata
from orchestration.marts.dbt_runner import DbtInvocation
from orchestration.marts.manifest import prepared_manifest, shared_text
from orchestration.resources import DBT_PROJECT


class DbtBuildError(RuntimeError):
    """A model, test or hook of the dbt project failed; models built before it stay, those after it were skipped."""


class MartsTranslator(DagsterDbtTranslator):
    """dbt model `fct_sales` → asset `fct_sales`, in the group of its layer; sources are raw assets (by dbt meta)."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """The model's bare name; sources keep the key their meta declares."""
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey(dbt_resource_props["name"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Its layer, the folder below `models`: staging, intermediate or marts; a seed is staged as it is."""
        return (
            str(dbt_resource_props["fqn"][1]) if dbt_resource_props["resource_type"] == "model" else "staging"
        )

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The description and SQL of dbt; what is in angle brackets is shown."""
        described = {**dbt_resource_props, "description": markdown_prose(dbt_resource_props["description"])}
        return super().get_description(described)

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """That of dbt, with columns as the UI shows those of any other table, and what each is computed from."""
        name = dbt_resource_props.get("alias") or dbt_resource_props["identifier"]
        table = f"{dbt_resource_props['schema']}.{name}"
        columns = shown_columns(
            (key, column["data_type"] or "?", described(table, key, column["description"]))
            for key, column in dbt_resource_props["columns"].items()
        )
        return {
            **super().get_metadata(dbt_resource_props),
            "dagster/column_schema": columns,
            **lineage_metadata(table),
        }

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:  # noqa: ARG002 - the base class's
        """The data team owns all marts."""
        return DATA_TEAM


def build_marts(project: DbtProject) -> dg.AssetsDefinition:
    """All dbt models as one multi-asset, built by one `dbt build` under the lake's write lock."""

    @dbt_assets(
        manifest=project.manifest_path,
        project=project,
        dagster_dbt_translator=MartsTranslator(),
        name="marts",
        pool=LAKE_WRITER,
    )
    def marts(context: dg.AssetExecutionContext, assay: AssayResource) -> Iterator[Any]:
        target = assay.settings.home_path / "dbt" / "target"
        invocation = DbtInvocation(
            # Unit tests test the code, not the data: pytest runs them.
            ["build", "--exclude-resource-type", "unit_test"],
            prepared_manifest(),
            project=DBT_PROJECT,
            target=target,
            env={**dbt_environment(assay.lake), **shared_text()},
        )
        nodes = json.loads(project.manifest_path.read_bytes())["nodes"]
        with assay.lake.writing("dbt build"), assay.lake.read(following=True) as con:
            for event in invocation.dagster_events(context):
                yield _with_row_count(event, nodes, con)
        if not invocation.succeeded:
            raise DbtBuildError(
                f"dbt build failed; its log is {target / 'dbt.log'}, and ended with:\n{invocation.log_end}"
            )

    return marts


def _with_row_count(event: Any, nodes: Mapping[str, Any], con: duckdb.DuckDBPyConnection) -> Any:
    """A model's output with its rows; dagster-dbt's own counter cannot open a DuckLake."""
    if not isinstance(event, dg.Output):
        return event
    node = nodes[str(event.metadata["unique_id"].value)]
    if node["config"]["materialized"] == "view":  # has no rows of its own
        return event
    rows = con.execute(f"select count(*) from {node['schema']}.{node['alias']}").fetchone()
    return event.with_metadata({**event.metadata, "dagster/row_count": rows[0] if rows else 0})
