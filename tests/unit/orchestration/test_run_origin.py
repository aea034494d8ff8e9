"""What the run history says about where a run comes from."""

from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration.code_location import CodeLocation
from orchestration.execution import execute
from orchestration.home import open_instance, prepare_home
from orchestration.orphaned_runs import PROCESS_TAG, fail_orphaned_runs
from orchestration.output.progress import console_logger
from orchestration.resources import Assay
from orchestration.run_origin import AS_OF_TAG, HOME_TAG, LAUNCHED_BY_TAG, LAUNCHED_IN_TAG, tags_within
from orchestration.settings import load_settings

REPOSITORY_LABEL = ".dagster/repository"


@dg.op
def nothing() -> None:
    pass


@dg.op
def launch_inner(context: dg.OpExecutionContext, location: dg.ResourceParam[CodeLocation]) -> None:
    execute(location, context.instance, "inner", tags=tags_within(context))


@dg.job
def inner() -> None:
    nothing()


@dg.job(executor_def=dg.in_process_executor)
def outer() -> None:
    launch_inner()


def build(location: CodeLocation) -> dg.Definitions:
    loggers = {"console": console_logger, "progress": dg.colored_console_logger}
    return dg.Definitions(jobs=[inner, outer], loggers=loggers, resources={"location": location})


SECRET = "T0Ken1234secret"


@pytest.fixture(scope="module")
def location(tmp_path_factory) -> CodeLocation:
    settings = load_settings(home=tmp_path_factory.mktemp("origin") / f"a home <b> {SECRET}")
    prepare_home(settings)
    return CodeLocation(Assay(settings), build, "assay run")


@pytest.fixture(scope="module")
def instance(location) -> Iterator[dg.DagsterInstance]:
    with open_instance(location.assay.settings) as opened:
        yield opened


def test_a_run_of_this_process_is_listed_under_its_job_and_names_who_launched_it(location, instance) -> None:
    execute(location, instance, "inner")
    (run, *_) = instance.get_runs(
        dg.RunsFilter(job_name="inner", tags={REPOSITORY_LABEL: "__repository__@assay"})
    )
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.job_name == "inner"
    assert run.remote_job_origin.location_name == "assay"
    assert run.tags[LAUNCHED_BY_TAG] == "assay run"
    assert run.tags[HOME_TAG] == str(location.assay.settings.home_path)


def test_runs_that_a_job_executes_name_that_job_and_its_run(location, instance) -> None:
    outer_run = execute(location, instance, "outer").run_id
    (run,) = instance.get_runs(dg.RunsFilter(job_name="inner", tags={LAUNCHED_IN_TAG: outer_run}))
    assert run.tags[LAUNCHED_BY_TAG] == "job outer"


def test_a_run_that_executes_one_again_from_the_ui_is_not_one_of_the_first_process(
    location, instance
) -> None:
    """The UI copies the tags of the run; the process of the first has ended, and this one has not."""
    first = instance.get_run_by_id(
        execute(location, instance, "inner", tags={AS_OF_TAG: "2026-01-01T00:00:00Z"}).run_id
    )
    gone = {**first.tags, PROCESS_TAG: f"{first.tags[PROCESS_TAG].rsplit('/', 2)[0]}/999999999/1"}
    again = dg.DagsterRun(job_name="inner", tags=gone, status=dg.DagsterRunStatus.STARTED)
    again = instance.add_run(again.with_job_origin(first.remote_job_origin))
    assert not {LAUNCHED_BY_TAG, PROCESS_TAG, AS_OF_TAG} & set(again.tags)
    assert again.tags[HOME_TAG] == first.tags[HOME_TAG]
    assert fail_orphaned_runs(instance) == 0


def test_the_daemon_does_not_execute_a_failed_run_of_this_process_again(location, instance) -> None:
    """Whoever launched it does; a retry would train or ingest beside that."""
    run_id = execute(location, instance, "inner").run_id
    instance.report_run_failed(instance.get_run_by_id(run_id))
    assert instance.get_run_by_id(run_id).tags["dagster/will_retry"] == "false"


def test_a_secret_in_the_path_of_the_home_is_not_in_a_tag(location, instance, monkeypatch) -> None:
    monkeypatch.setenv("ASSAY_ALERT_URLS", f"https://hooks.example/{SECRET}")
    run_id = execute(location, instance, "inner").run_id
    assert SECRET not in instance.get_run_by_id(run_id).tags[HOME_TAG]
