"""Everything private of Dagster that Assay uses, in one place.

Here: the imports, and why each is needed. Not here: their use. `tests/unit/orchestration/test_dagster_internals.py`
states what is expected of each, so that a new version of Dagster fails there first. Ruff refuses these imports anywhere
else.
"""

from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.events.log import EventLogEntry
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorStatus,
    InstigatorTick,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import (
    DagsterSqliteStorage,
)
from dagster._core.storage.sqlite_storage import (
    _event_logs_directory as event_logs_directory,
)
from dagster._core.storage.tags import CODE_LOCATION_TAG, GRPC_INFO_TAG, MAX_RETRIES_TAG, USER_TAG
from dagster._serdes import ConfigurableClassData, deserialize_value, serialize_value
from dagster._utils.schedules import schedule_execution_time_iterator

__all__ = [
    # The code location that a run is listed under, and tags that the UI and the daemon read (`run_origin`).
    "CODE_LOCATION_TAG",
    # Which code server started the process of a run (`home`).
    "GRPC_INFO_TAG",
    # The default storage in its default folders, to mask secrets on the way in (`runs.run_history`), or another.
    "INDEX_SHARD_NAME",
    "MAX_RETRIES_TAG",
    "SINGLETON_REPOSITORY_NAME",
    "SQLITE_BUSY_TIMEOUT_SECONDS",
    "USER_TAG",
    # The result of a check evaluation that has ended (`alerts.dagster_events`).
    "AssetCheckExecutionRecordStatus",
    "ConfigurableClassData",
    "DagsterSqliteStorage",
    "DagsterStorage",
    "EventLogEntry",
    # The state of sensors and schedules, and when a schedule was due (`alerts.health`).
    "InstigatorStatus",
    "InstigatorTick",
    "RegisteredCodeLocationOrigin",
    "RemoteRepositoryOrigin",
    "ScheduleInstigatorData",
    "SensorInstigatorData",
    "SqliteEventLogStorage",
    "SqliteRunStorage",
    "SqliteScheduleStorage",
    "TickData",
    "TickStatus",
    "deserialize_value",
    "event_logs_directory",
    "schedule_execution_time_iterator",
    "serialize_value",
]
