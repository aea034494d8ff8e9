"""What Assay expects of the private parts of Dagster: a new version that breaks it fails here, by name."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime

import dagster as dg
import pytest

from orchestration import dagster_internals as internals


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (internals.SqliteEventLogStorage.store_event, ["self", "event"]),
        (internals.SqliteEventLogStorage._connect, ["self", "shard"]),
        (internals.SqliteEventLogStorage.has_table, ["self", "table_name"]),
        (internals.SqliteRunStorage.__init__, ["self", "conn_string", "inst_data"]),
        (internals.SqliteRunStorage.connect, ["self"]),
        (internals.SqliteScheduleStorage.__init__, ["self", "conn_string", "inst_data"]),
        (internals.SqliteEventLogStorage.conn_string_for_shard, ["self", "shard_name"]),
        (internals.SqliteEventLogStorage.path_for_shard, ["self", "run_id"]),
        (internals.SqliteScheduleStorage.create_tick, ["self", "tick_data"]),
        (internals.SqliteScheduleStorage.update_tick, ["self", "tick"]),
        (internals.DagsterSqliteStorage.__init__, ["self", "base_dir", "inst_data"]),
        (internals.event_logs_directory, ["base"]),
    ],
)
def test_what_the_masked_storage_overrides_or_calls_has_the_expected_parameters(method, parameters):
    assert list(inspect.signature(method).parameters) == parameters


def test_the_default_storage_keeps_runs_events_and_ticks_in_the_attributes_that_are_replaced(tmp_path):
    storage = internals.DagsterSqliteStorage(str(tmp_path))
    assert isinstance(storage._event_log_storage, internals.SqliteEventLogStorage)
    assert isinstance(storage._schedule_storage, internals.SqliteScheduleStorage)
    assert isinstance(storage._run_storage, internals.SqliteRunStorage)
    assert (tmp_path / "history" / "runs.db").samefile(
        storage._run_storage._conn_string.removeprefix("sqlite:///")
    )
    assert storage._schedule_storage._conn_string.startswith("sqlite:///")
    assert storage.run_storage is storage._run_storage
    assert storage.event_log_storage is storage._event_log_storage
    assert storage.schedule_storage is storage._schedule_storage


def test_an_object_survives_being_written_as_text():
    key = dg.AssetKey(["a", "b"])
    assert internals.deserialize_value(internals.serialize_value(key)) == key


def test_a_schedule_s_times_are_strictly_after_the_start_and_in_order():
    start = datetime(2026, 1, 1, 0, 7, tzinfo=UTC).timestamp()
    times = internals.schedule_execution_time_iterator(start + 1, "7 * * * *", "UTC")
    assert [next(times).timestamp() for _ in range(2)] == [start + 3600, start + 7200]


def test_the_names_of_states_are_there():
    assert {"SUCCEEDED", "FAILED"} <= {s.name for s in internals.AssetCheckExecutionRecordStatus}
    assert "FAILURE" in {s.name for s in internals.TickStatus}
    assert {"RUNNING", "DECLARED_IN_CODE"} <= {s.name for s in internals.InstigatorStatus}


def test_sensors_and_schedules_keep_when_they_began():
    assert {"min_interval", "last_sensor_start_timestamp"} <= set(internals.SensorInstigatorData._fields)
    assert {"cron_schedule", "start_timestamp"} <= set(internals.ScheduleInstigatorData._fields)


def test_a_run_names_the_code_server_that_has_started_it():
    launcher = inspect.getsource(dg.DefaultRunLauncher)
    assert internals.GRPC_INFO_TAG == ".dagster/grpc_info"
    assert '"socket"' in launcher
    assert "GRPC_INFO_TAG" in launcher


def test_a_run_with_an_origin_is_stored_with_the_label_that_the_ui_filters_by():
    location = internals.RegisteredCodeLocationOrigin("a location")
    repository = internals.RemoteRepositoryOrigin(location, internals.SINGLETON_REPOSITORY_NAME)
    run = dg.DagsterRun(job_name="a_job").with_job_origin(repository.get_job_origin("a_job"))
    assert run.remote_job_origin.repository_origin.get_label() == "__repository__@a location"
    assert run.tags_for_storage()[".dagster/repository"] == "__repository__@a location"
    assert internals.deserialize_value(internals.serialize_value(run)) == run
    assert run.with_tags({"a": "b"}).remote_job_origin == run.remote_job_origin


def test_the_tags_that_the_ui_and_the_daemon_read_have_their_names():
    assert internals.USER_TAG == "user"
    assert internals.CODE_LOCATION_TAG == "dagster/code_location"
    assert internals.MAX_RETRIES_TAG == "dagster/max_retries"


def test_definitions_are_one_repository_of_the_name_that_runs_are_given():
    assert dg.Definitions().get_repository_def().name == internals.SINGLETON_REPOSITORY_NAME
