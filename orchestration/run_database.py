"""The PostgreSQL database that has Dagster's runs, events and schedules, if `ASSAY_DAGSTER_URL` names one.

Here: its address, its schema, a connection, whose it is, and telling Dagster to use it. Not here: what Dagster keeps in
it (`orchestration.runs.postgres_history`). Light to import: the client, an extra, comes with the first connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from lake.postgres import PostgresAddress
from lake.storage import write_whole
from orchestration.errors import HomeError

if TYPE_CHECKING:
    import dagster as dg
    from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's name of the class

SETTING = "ASSAY_DAGSTER_URL"
SCHEMA = "assay_dagster"
"""A schema of its own, so that the database may be that of the lake's catalog, the published store or the registry."""

_IN_FILES, _IN_POSTGRES = "in_postgres: false", "in_postgres: true"
"""Where Dagster's history is, in the words of `dagster.yaml`."""


def configure_dagster(template: Path, file: Path) -> None:
    """Write Dagster's configuration into a home, unless it is there; where the history is stays as it is.

    A history that is in PostgreSQL stays there for who does not know its address. Who needs the history is then
    refused (`orchestration.runs.run_history`) and does not begin a second one.

    Args:
        template: The configuration of any home.
        file: That of this home.
    """
    before = file.read_text() if file.exists() else ""
    wanted = template.read_text()
    if _IN_POSTGRES in before:
        wanted = wanted.replace(_IN_FILES, _IN_POSTGRES)
    if before != wanted:
        write_whole(file, wanted)


@contextmanager
def history_in_postgres(file: Path) -> Iterator[None]:
    """Let the home's history be in PostgreSQL from now on, if it can be opened there in this block.

    An address that is wrong, or a database that is refused, leaves the home as it was.

    Args:
        file: Dagster's configuration of the home.
    """
    before = file.read_text()
    if _IN_POSTGRES in before:
        yield
        return
    write_whole(file, before.replace(_IN_FILES, _IN_POSTGRES))
    try:
        yield
    except BaseException:
        write_whole(file, before)
        raise


def refuse_other_history(instance: dg.DagsterInstance, market: Mapping[str, str | int]) -> None:
    """Refuse a database that has the runs of another market: sensors and partitions of both would be mixed.

    Raises:
        HomeError: It has; the instance is closed.
    """
    key, ours = "assay/market", json.dumps(market, sort_keys=True)
    held = instance.run_storage.get_cursor_values({key}).get(key)
    if held is None:
        instance.run_storage.set_cursor_values({key: ours})
    elif held != ours:
        instance.dispose()
        raise HomeError(
            f"The database of {SETTING} has the run history of another market ({held}); expected {ours}. "
            "Make a database for each home."
        )


def run_database(url: str) -> PostgresAddress:
    """The address of the database.

    Raises:
        CatalogUrlError: It is no PostgreSQL URL; the message shows no part of it.
    """
    return PostgresAddress.of(url, "The address of Dagster's database", SETTING)


def postgres_client() -> ModuleType:
    """PostgreSQL's client.

    Raises:
        HomeError: It is not installed.
    """
    try:
        import psycopg2
    except ImportError as error:
        raise HomeError(
            f"{SETTING} needs PostgreSQL's client, which is not installed: pip install 'assay[postgres]'"
        ) from error
    return psycopg2


def connect(url: str) -> Connection:
    """A connection that commits each statement; who opens it closes it.

    Raises:
        HomeError: PostgreSQL's client is not installed.
        psycopg2.OperationalError: No server answers, or it refuses the user.
    """
    psycopg2 = postgres_client()
    address = run_database(url)
    secret = {} if address.password is None else {"password": address.password}
    connection = psycopg2.connect(**{"connect_timeout": "10", **address.parameters, **secret})
    connection.autocommit = True
    return connection
