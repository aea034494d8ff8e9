"""Dagster's run history without secrets: what a step logs and its errors are masked before it is stored.

Here: Dagster's SQLite storage in its default places, with a mask where texts come in: events and ticks. Not here: what
a secret is (`masking`). `dagster.yaml` names the class, so that every process of Dagster on a home writes through it.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar, cast

from orchestration.dagster_internals import (
    ConfigurableClassData,
    DagsterSqliteStorage,
    EventLogEntry,
    InstigatorTick,
    SqliteEventLogStorage,
    SqliteScheduleStorage,
    TickData,
    deserialize_value,
    event_logs_directory,
    schedule_directory,
    serialize_value,
)
from orchestration.output.masking import masked

T = TypeVar("T")


def without_secrets(stored: T) -> T:
    """The same object with the secrets in its texts masked; itself where there are none."""
    text = serialize_value(cast("Any", stored))
    if masked(text) == text:
        return stored
    # Text by text, so that a mask cannot break the serialised form.
    return cast("T", deserialize_value(json.dumps(_each_text(json.loads(text)))))


def _each_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _each_text(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_each_text(inner) for inner in value]
    return masked(value) if isinstance(value, str) else value


class _Events(SqliteEventLogStorage):
    def store_event(self, event: EventLogEntry) -> None:
        super().store_event(without_secrets(event))


class _Ticks(SqliteScheduleStorage):
    def create_tick(self, tick_data: TickData) -> InstigatorTick:
        return super().create_tick(without_secrets(tick_data))

    def update_tick(self, tick: InstigatorTick) -> InstigatorTick:
        return super().update_tick(without_secrets(tick))


class MaskedSqliteStorage(DagsterSqliteStorage):
    """Dagster's default storage with the mask."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the files that Dagster itself would make in the folder.

        Args:
            base_dir: The folder, `$DAGSTER_HOME`.
            inst_data: Dagster's description of this object.
        """
        super().__init__(base_dir, inst_data)
        self._event_log_storage = _Events(event_logs_directory(base_dir))
        self._schedule_storage = _Ticks.from_local(schedule_directory(base_dir))

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData, config_value: dict[str, str]
    ) -> MaskedSqliteStorage:
        """How Dagster makes it from `dagster.yaml`."""
        return cls.from_local(inst_data=inst_data, **config_value)
