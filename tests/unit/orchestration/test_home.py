"""One home, one market, one run at a time."""

import os
import subprocess
import sys
import textwrap
import time

import dagster as dg
import pytest

from orchestration.conventions import LAKE_WRITER
from orchestration.errors import HomeError
from orchestration.home import existing_home, open_instance, prepare_home, remember_market, run_lock
from orchestration.orphaned_runs import PROCESS_TAG, fail_orphaned_runs
from orchestration.settings import load_settings
from sources.protocol import SourceError

pytestmark = pytest.mark.slow


def test_a_home_refuses_another_market(tmp_path):
    prepare_home(load_settings(home=tmp_path, seed=1))
    prepare_home(load_settings(home=tmp_path, seed=1, days=400))  # more days of the same market are welcome
    with pytest.raises(HomeError, match="seed=1 there, seed=2 asked"):
        prepare_home(load_settings(home=tmp_path, seed=2))


def test_a_home_remembers_the_days_that_were_run_and_no_others(tmp_path):
    market = tmp_path / "market.json"
    prepare_home(load_settings(home=tmp_path, days=300))
    written = market.read_text()
    existing_home(load_settings(home=tmp_path, days=100))
    prepare_home(load_settings(home=tmp_path, days=400))
    assert market.read_text() == written
    remember_market(load_settings(home=tmp_path, days=400))
    assert load_settings(home=tmp_path).days == 400


def test_a_source_that_cannot_be_opened_leaves_no_home(tmp_path):
    for folder in (tmp_path / "mistyped", tmp_path):
        with pytest.raises(SourceError, match="data files"):
            prepare_home(load_settings(home=tmp_path / "home", source="files", data_dir=folder))
        assert not (tmp_path / "home").exists()


def test_a_second_run_names_the_holder_of_the_home(tmp_path):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import sys, pathlib
                from orchestration.home import run_lock
                with run_lock(pathlib.Path(sys.argv[1]), 1):
                    print("held", flush=True)
                    sys.stdin.read()
                """
            ),
            str(tmp_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    messages: list[str] = []
    with (
        pytest.raises(HomeError, match=f"process {holder.pid}"),
        run_lock(tmp_path, 0.2, on_wait=messages.append),
    ):
        pass
    assert str(holder.pid) in messages[0]
    holder.kill()
    holder.wait()
    with run_lock(tmp_path, 5):
        pass  # a killed holder leaves no lock


def test_orphaned_runs_are_marked_as_failed_and_live_ones_are_not(tmp_path):
    settings = load_settings(home=tmp_path)
    prepare_home(settings)
    with open_instance(settings) as instance:
        orphaned = instance.add_run(_started_run({PROCESS_TAG: f"{os.uname().nodename}/999999999/1"}))
        alive = instance.add_run(_started_run({}))
        assert fail_orphaned_runs(instance) == 1
        assert instance.get_run_by_id(orphaned.run_id).status == dg.DagsterRunStatus.FAILURE
        assert instance.get_run_by_id(alive.run_id).status == dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize("ended", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED])
def test_the_pool_slot_of_a_run_that_is_gone_is_freed(tmp_path, ended):
    """Also where another process has marked the run as failed, and was killed before it freed the slot."""
    settings = load_settings(home=tmp_path)
    prepare_home(settings)
    with open_instance(settings) as instance:
        gone = dg.DagsterRun(
            job_name="build", tags={PROCESS_TAG: f"{os.uname().nodename}/999999999/1"}, status=ended
        )
        alive = instance.add_run(_started_run({}))
        instance.add_run(gone)
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default(LAKE_WRITER)
        assert storage.claim_concurrency_slot(LAKE_WRITER, gone.run_id, "marts").is_claimed
        assert not storage.claim_concurrency_slot(LAKE_WRITER, alive.run_id, "marts").is_claimed
        fail_orphaned_runs(instance)
        assert storage.check_concurrency_claim(LAKE_WRITER, alive.run_id, "marts").is_assigned
        assert storage.get_concurrency_info(LAKE_WRITER).pending_run_ids == set()
        fail_orphaned_runs(instance)
        assert storage.claim_concurrency_slot(LAKE_WRITER, alive.run_id, "marts").is_claimed


def _started_run(tags):
    return dg.DagsterRun(job_name="ingest", tags=tags, status=dg.DagsterRunStatus.STARTED)


def test_processes_that_open_a_new_home_at_once_all_can(tmp_path):
    opens = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        import dagster
        from orchestration.home import open_instance, prepare_home
        from orchestration.settings import load_settings

        settings = load_settings(home=Path(sys.argv[1]))
        prepare_home(settings)
        time.sleep(max(0.0, float(sys.argv[2]) - time.time()))  # all at the same moment
        with open_instance(settings) as instance:
            assert instance.get_runs() == []
        """
    )
    moment = str(time.time() + 6)
    started = [subprocess.Popen([sys.executable, "-c", opens, str(tmp_path), moment]) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]


def _open_to_others(folder):
    return [str(path) for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077]


def test_a_new_home_is_its_owners_alone(tmp_path):
    settings = load_settings(home=tmp_path / "home")
    prepare_home(settings)
    with open_instance(settings) as instance:
        instance.add_run(_started_run({}))
    assert len(list(settings.home_path.rglob("*"))) > 5
    assert _open_to_others(settings.home_path) == []


def test_an_older_home_is_closed_when_it_is_opened(tmp_path):
    home, elsewhere = tmp_path / "home", tmp_path / "shared"
    prepare_home(load_settings(home=home))
    elsewhere.mkdir()
    for path in (elsewhere, home, home / "dagster", home / "market.json"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (home / "artifacts").symlink_to(elsewhere)
    prepare_home(load_settings(home=home))
    assert _open_to_others(home) == [str(home / "artifacts")], "a link has no rights of its own"
    assert elsewhere.stat().st_mode & 0o777 == 0o755
