"""dbt in this process: what Assay takes for granted of the private parts of dbt and dagster-dbt; nothing stays."""

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_dbt import DbtProject, dbt_assets

from orchestration.marts import dbt_runner
from orchestration.marts.dbt_runner import DbtInvocation, invoke_dbt, load_manifest
from orchestration.output.parts import PartsDone, listening

PROJECT_FILES = {
    "dbt_project.yml": "name: small\nversion: '1.0.0'\nprofile: small\nmodels: {small: {+materialized: table}}\n",
    "profiles.yml": "small:\n  target: dev\n  outputs:\n    dev:\n      type: duckdb\n      threads: 1\n"
    "      path: \"{{ env_var('SMALL_PATH', 'FOLDER/small.duckdb') }}\"\n",
    "models/one.sql": "select 1 as n union all select {{ env_var('SMALL_VALUE', '2') }}",
    "models/broken.sql": "select n / {{ env_var('SMALL_COLUMN', '1') }} as n from {{ ref('one') }}",
    "models/after.sql": "select * from {{ ref('broken') }}",
    "models/schema.yml": """
models:
  - name: one
    columns: [{name: n, data_type: int, data_tests: [{accepted_values: {values: [1], config: {severity: warn}}}]}]
  - name: after
    columns: [{name: n, data_tests: [unique, {accepted_values: {values: [1]}}]}]
""",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    folder = tmp_path_factory.mktemp("small")
    for name, text in PROJECT_FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text.replace("FOLDER", str(folder)))
    where = ["--project-dir", str(folder), "--profiles-dir", str(folder), "--log-path", str(folder / "logs")]
    assert invoke_dbt(["parse", *where, "--quiet"]).success
    return DbtProject(project_dir=folder, profiles_dir=folder, target_path=Path("target"))


def build(project: DbtProject, home: Path, stop_after: int | None = None, **env: str) -> tuple[Any, Any]:
    """The result of a Dagster run whose only step is a dbt build, and the invocation."""
    home.mkdir(exist_ok=True)
    invocation = DbtInvocation(
        ["build"],
        load_manifest(project.project_dir / "target" / "partial_parse.msgpack"),
        project=project.project_dir,
        target=home / "target",
        env={"SMALL_PATH": str(home / "small.duckdb"), **env},
    )

    @dbt_assets(manifest=project.manifest_path, project=project)
    def small(context: dg.AssetExecutionContext) -> Iterator[Any]:
        for number, event in enumerate(invocation.dagster_events(context)):
            if number == stop_after:
                raise KeyboardInterrupt
            yield event
        if not invocation.succeeded:
            raise RuntimeError(invocation.log_end)

    return dg.materialize([small], raise_on_error=False), invocation


def materialized(result: Any) -> list[str]:
    return [event.asset_key.to_user_string() for event in result.get_asset_materialization_events()]


def test_models_become_outputs_and_tests_check_results(project: DbtProject, tmp_path: Path) -> None:
    reported: list[PartsDone] = []
    with listening(reported.append):
        result, invocation = build(project, tmp_path)
    assert [(parts.done, parts.total) for parts in reported] == [(n, 6) for n in range(1, 7)]
    assert materialized(result) == ["one", "broken", "after"]
    checks = {c.check_name: c for c in result.get_asset_check_evaluations()}
    warned, failed = checks["accepted_values_one_n__1"], checks["accepted_values_after_n__1"]
    assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert failed.metadata["dagster_dbt/failed_row_count"].value == 1
    assert checks["unique_after_n"].passed
    # A test of severity error that fails is a failed build.
    assert not result.success
    assert not invocation.succeeded
    assert "Got 1 result, configured to fail if != 0" in invocation.log_end


def test_what_depends_on_a_failed_model_is_skipped_and_the_log_has_the_reason(
    project: DbtProject, tmp_path: Path
) -> None:
    result, invocation = build(project, tmp_path, SMALL_COLUMN="no_such_column")
    assert materialized(result) == ["one"]
    assert not result.success
    assert "no_such_column" in invocation.log_end
    assert "no_such_column" in (tmp_path / "target" / "dbt.log").read_text()


def test_two_homes_in_one_process_share_nothing(project: DbtProject, tmp_path: Path) -> None:
    import duckdb

    build(project, tmp_path / "a", SMALL_VALUE="7")
    build(project, tmp_path / "b")
    assert "SMALL_PATH" not in os.environ
    assert "SMALL_VALUE" not in os.environ
    for home, expected in (("a", 7), ("b", 2)):
        with duckdb.connect(str(tmp_path / home / "small.duckdb")) as con:
            assert con.execute("select max(n) from one").fetchone() == (expected,)
        assert (tmp_path / home / "target" / "dbt.log").exists()


def test_nothing_stays_open(project: DbtProject, tmp_path: Path) -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import FACTORY
    from dbt_common.events.event_manager_client import get_event_manager

    build(project, tmp_path)
    assert DuckDBConnectionManager._ENV is None
    assert not FACTORY.adapters
    assert not get_event_manager().loggers
    assert not get_event_manager().callbacks
    assert not [h for h in logging.getLogger("file_log").handlers if isinstance(h, logging.FileHandler)]


def test_who_stops_listening_stops_dbt(project: DbtProject, tmp_path: Path) -> None:
    """As Ctrl-C does: dbt has ended when the run has, and the next build finds nothing in its way."""
    result, _ = build(project, tmp_path, stop_after=0)
    assert not result.success
    assert materialized(result) == []
    assert "dbt" not in {thread.name for thread in threading.enumerate()}
    assert not dbt_runner._ONE_AT_A_TIME.locked()
    assert materialized(build(project, tmp_path / "next")[0])


def test_a_stopped_build_leaves_the_nodes_that_have_not_started(project: DbtProject, tmp_path: Path) -> None:
    invocation = DbtInvocation(
        ["build"],
        load_manifest(project.project_dir / "target" / "partial_parse.msgpack"),
        project=project.project_dir,
        target=tmp_path / "target",
        env={"SMALL_PATH": str(tmp_path / "small.duckdb")},
    )
    invocation._stopping.set()
    invocation._work([])
    assert not invocation.succeeded
    assert {r.status for r in invocation._outcome[0].result} == {"error", "skipped"}


def test_a_selection_of_assets_is_a_selection_of_nodes(project: DbtProject, tmp_path: Path) -> None:
    invocation = DbtInvocation(
        ["build"],
        load_manifest(project.project_dir / "target" / "partial_parse.msgpack"),
        project=project.project_dir,
        target=tmp_path / "target",
        env={"SMALL_PATH": str(tmp_path / "small.duckdb")},
    )

    @dbt_assets(manifest=project.manifest_path, project=project)
    def small(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield from invocation.dagster_events(context)

    assert materialized(dg.materialize([small], selection=["one"], raise_on_error=False)) == ["one"]
