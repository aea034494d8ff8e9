"""Dagster's run history in PostgreSQL, masked like the one in files.

Here: Dagster's own PostgreSQL storage with the mask where texts come in, and making its tables whole or not at all.
Not here: the choice between both (`orchestration.runs.run_history`), the address (`orchestration.run_database`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from dagster import DagsterRun
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from sqlalchemy import URL

from orchestration.dagster_internals import ConfigurableClassData, EventLogEntry, InstigatorTick, TickData
from orchestration.errors import HomeError
from orchestration.run_database import SCHEMA, SETTING, connect, run_database
from orchestration.run_origin import with_origin
from orchestration.runs.masked_objects import without_secrets

_UNFINISHED = f"{SCHEMA}_unfinished"
_LOCK = 0x41535341_59444147
"""Of the sessions that make the tables; the number means nothing."""


class _Runs(PostgresRunStorage):
    """The list of runs."""

    def add_run(self, dagster_run: DagsterRun) -> DagsterRun:
        return super().add_run(with_origin(dagster_run))


class _Events(PostgresEventLogStorage):
    """Events, masked."""

    def store_event(self, event: EventLogEntry) -> None:
        super().store_event(without_secrets(event))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        super().store_event_batch([without_secrets(event) for event in events])


class _Ticks(PostgresScheduleStorage):
    def create_tick(self, tick_data: TickData) -> InstigatorTick:
        return super().create_tick(without_secrets(tick_data))

    def update_tick(self, tick: InstigatorTick) -> InstigatorTick:
        return super().update_tick(without_secrets(tick))


class MaskedPostgresStorage(DagsterPostgresStorage):
    """Dagster's PostgreSQL storage with the mask, in a schema of its own."""

    def __init__(self, url: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Make the tables if there are none, and open them.

        Args:
            url: `ASSAY_DAGSTER_URL`.
            inst_data: Dagster's description of this object.

        Raises:
            HomeError: The user may not make them.
        """
        _make_tables(url)
        address = _sqlalchemy_url(url, SCHEMA)
        super().__init__(address, should_autocreate_tables=False, inst_data=inst_data)
        self._run_storage = _Runs(address, should_autocreate_tables=False)
        self._event_log_storage = _Events(address, should_autocreate_tables=False)
        self._schedule_storage = _Ticks(address, should_autocreate_tables=False)


def _make_tables(url: str) -> None:
    """Make the tables in a schema beside, and rename it: killed in between, the next opening begins again."""
    from psycopg2.errors import InsufficientPrivilege

    there = "select 1 from pg_namespace where nspname = %s"
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(there, [SCHEMA])
        if cursor.fetchone():
            return
        cursor.execute("select pg_advisory_lock(%s)", [_LOCK])
        cursor.execute(there, [SCHEMA])
        if cursor.fetchone():
            return
        try:
            cursor.execute(f"drop schema if exists {_UNFINISHED} cascade")
            cursor.execute(f"create schema {_UNFINISHED}")
        except InsufficientPrivilege as error:
            raise HomeError(
                f"Expected a user of {SETTING} who may create the schema {SCHEMA}, found one who may not. Let its "
                "owner run `grant create on database … to …`, or make the user the owner of the database."
            ) from error
        DagsterPostgresStorage(_sqlalchemy_url(url, _UNFINISHED))
        cursor.execute(f"alter schema {_UNFINISHED} rename to {SCHEMA}")


def _sqlalchemy_url(url: str, schema: str) -> str:
    address = run_database(url)
    rest = dict(address.parameters)
    user, database = rest.pop("user", None), rest.pop("dbname", None)
    rest["options"] = f"{rest.get('options', '')} -csearch_path={schema}".strip()
    made = URL.create(
        "postgresql+psycopg2", username=user, password=address.password, database=database, query=rest
    )
    return made.render_as_string(hide_password=False)
