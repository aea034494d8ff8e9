"""Connections to a store in PostgreSQL, and what its errors mean.

Here: the address, time limits, and errors as those of a store. Not here: statements (`postgres.store`,
`postgres.target`).

Concept: answers of the API carry the messages of these errors, so none has a host, a user or a password. What
PostgreSQL says itself goes to the log, without the password.
"""

from __future__ import annotations

import logging
from typing import Any

import psycopg
from psycopg import errors

from lake.errors import CatalogUrlError
from lake.postgres import PostgresAddress
from serving.store.errors import (
    StoreAddressError,
    StoreDamagedError,
    StoreError,
    StoreMissingError,
    StoreUnreachableError,
)

SETTING = "ASSAY_SERVING_STORE"
CONNECT_TIMEOUT_S = 3

_NETWORK: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    # A machine that is gone without a word is noticed within some ten seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "client_encoding": "UTF8",
}

_REASONS = (
    ("password", "it refused the user or the password"),
    ("role", "it refused the user or the password"),
    ("authentication", "it refused the user or the password"),
    ("pg_hba", "it refused the user or the password"),
    ("starting up", "it is starting"),
    ("shutting down", "it is stopping"),
    ("too many", "it has no free connection"),
    ("remaining connection slots", "it has no free connection"),
    ("does not exist", "there is no such database"),
    ("No space left", "its disk is full"),
)
"""What a refused connection says, in English, and what it means."""

_log = logging.getLogger("assay.store")


def connection_parameters(url: str, **more: Any) -> dict[str, Any]:
    """What psycopg connects with.

    Raises:
        StoreAddressError: The URL cannot be read; the message shows no part of it.
    """
    try:
        address = PostgresAddress.of(url, "The published store's address", SETTING)
    except CatalogUrlError as error:
        raise StoreAddressError(str(error)) from None
    secret = {} if address.password is None else {"password": address.password}
    return {**_NETWORK, **more, **address.parameters, **secret}


def connect(parameters: dict[str, Any], *, autocommit: bool) -> psycopg.Connection[Any]:
    """A connection.

    Raises:
        StoreUnreachableError: There is none to be had.
    """
    try:
        return psycopg.connect(**parameters, autocommit=autocommit)
    except psycopg.Error as error:
        raise as_store_error(error, parameters) from None


def as_store_error(error: Exception, parameters: dict[str, Any]) -> StoreError:
    """An error of PostgreSQL or its client as one of the store."""
    if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName):
        return StoreMissingError(
            "expected a published store in the database, found none; `assay run` publishes one"
        )
    if isinstance(error, errors.UndefinedColumn | errors.UndefinedFunction | errors.DatatypeMismatch):
        return StoreDamagedError(
            "expected the tables of a published store, found others; publish again with `assay run`"
        )
    if isinstance(error, errors.QueryCanceled):
        return StoreError("expected an answer in time, the query took longer; ask for fewer rows")
    found = shown(error, parameters)
    if isinstance(error, errors.InsufficientPrivilege):
        unreachable = StoreUnreachableError(
            "expected a user of the database who may use the published store, found one who may not; grant it "
            "(docs/how-to/several-api-machines.md)"
        )
    else:
        state = getattr(error, "sqlstate", None)
        others = f"it failed (SQLSTATE {state})" if state else "no server answers"
        reason = next((meaning for words, meaning in _REASONS if words in found), others)
        unreachable = StoreUnreachableError(
            f"expected the database of the published store to answer, found that {reason}; start it or correct "
            f"{SETTING}, then it is served without a restart"
        )
    unreachable.detail = found
    return unreachable


def log_detail(error: StoreError) -> None:
    """Write what the database said into the log."""
    if isinstance(error, StoreUnreachableError) and error.detail:
        _log.warning("the store in PostgreSQL cannot be used: %s", error.detail)


def shown(error: Exception, parameters: dict[str, Any]) -> str:
    """The message of an error in one line, without the password."""
    text = " ".join(str(error).split())
    password = parameters.get("password")
    return text.replace(password, "***") if password else text
