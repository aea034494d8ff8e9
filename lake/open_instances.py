"""DuckDB instances that are kept open: one for readers of the newest state of a lake, one for its writers.

Here: which are kept, when one is opened anew, and a connection of it. Not here: how one is opened (`lake.connection`).

Concept: opening an instance makes DuckLake read its whole catalog, 0.05 s; another connection of an open one costs a
tenth, and sees what was committed since by asking for the newest snapshot with each transaction. Temporary tables and
registered frames belong to the connection.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path

import duckdb

KEPT_OPEN = 4
"""Instances that a process keeps open: those of two lakes; it usually works on one."""

_opened: OrderedDict[Hashable, duckdb.DuckDBPyConnection] = OrderedDict()
_lock = threading.Lock()


def open_connection(
    key: Hashable, catalog: Path, open_instance: Callable[[], duckdb.DuckDBPyConnection]
) -> duckdb.DuckDBPyConnection:
    """A connection of the instance that is open under this key, for the caller to close.

    Args:
        key: All that the instance depends on: how it is attached and what it may use.
        catalog: The catalog's file. One that was replaced, such as in a folder that was removed and made again, is
            another lake.
        open_instance: Opens an instance; it is not called while one is open.
    """
    file = catalog.stat()
    key = (key, file.st_dev, file.st_ino)
    with _lock:
        instance = _opened.pop(key, None) or open_instance()
        _opened[key] = instance
        while len(_opened) > KEPT_OPEN:
            # Not closed: that would close its connections too, which keep it alive while they are in use.
            _opened.popitem(last=False)
        return instance.cursor()


def forget_all() -> None:
    """Open instances anew from now on: after an error that an instance does not survive."""
    with _lock:
        _opened.clear()
