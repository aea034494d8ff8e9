"""Group marts: the dbt project, every model an asset and every data test a check.

Here: how dbt's nodes become assets. Not here: any SQL (`dbt_project/`).
"""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from lake.dbt import dbt_environment
from lake.extensions import install_extensions
from orchestration.conventions import DATA_TEAM, LAKE_WRITER
from orchestration.resources import DBT_EXECUTABLE, DBT_PROJECT, AssayResource


class DbtBuildError(RuntimeError):
    """A model, test or hook of the dbt project failed; models built before it stay, those after it were skipped."""


class MartsTranslator(DagsterDbtTranslator):
    """dbt model `fct_sales` → asset `fct_sales`, all in one group; sources are the raw assets (by their dbt meta)."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """The model's bare name; sources keep the key their meta declares."""
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey(dbt_resource_props["name"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:  # noqa: ARG002 - the base class's
        """One group, whatever the dbt folder."""
        return "marts"

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
    def marts(context: dg.AssetExecutionContext, assay: AssayResource, dbt: DbtCliResource) -> Iterator[Any]:
        install_extensions(assay.lake.config.extensions)
        # Here and not when the code location loads: where the lake's files are is known once there is a lake.
        os.environ.update(dbt_environment(assay.lake))
        # A folder that stays: dbt finds its last parse there and saves four seconds.
        target = assay.settings.home_path / "dbt" / "target"
        output = io.StringIO()
        with assay.lake.writing("dbt build"):
            # Unit tests test the code, not the data: pytest runs them.
            arguments = ["build", "--exclude-resource-type", "unit_test"]
            invocation = dbt.cli(arguments, context=context, target_path=target, raise_on_error=False)
            # dagster-dbt repeats dbt's log on standard output, which belongs to `--json`; dbt keeps it in dbt.log.
            with redirect_stdout(output), assay.lake.read() as con:
                for event in invocation.stream():
                    yield _with_row_count(event, invocation.manifest["nodes"], con)
        if not invocation.is_successful():
            raise DbtBuildError(
                f"dbt build failed; its log is {target / 'dbt.log'}, and ended with:\n{output.getvalue()[-3000:]}"
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


def dbt_project() -> DbtProject:
    """The dbt project; its manifest is prepared by `assay prepare`, and parsed here only if that was not run."""
    project = DbtProject(project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT)
    if not project.manifest_path.exists():
        prepare_manifest(project)
    return project


def prepare_manifest(project: DbtProject | None = None) -> Path:
    """Parse the dbt project (4–6 s) so that the code location loads without doing it."""
    import subprocess

    project = project or DbtProject(project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT)
    environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    # Not `project.preparer`: it also runs `dbt deps`, which needs the network.
    done = subprocess.run(
        [
            DBT_EXECUTABLE,
            "--quiet",
            "parse",
            "--project-dir",
            str(DBT_PROJECT),
            "--profiles-dir",
            str(DBT_PROJECT),
        ],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"dbt parse failed; expected a project that parses, found:\n{done.stdout}{done.stderr}"
        )
    return project.manifest_path
