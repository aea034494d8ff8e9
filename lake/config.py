"""Where the lake is and what it may use.

Nothing is read from the environment: that is `orchestration.settings`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lake.errors import CatalogUrlError, DataPathError
from lake.object_store import ObjectStore
from lake.postgres import PostgresAddress
from lake.storage import is_object_store

CATALOG_ALIAS = "lake"
"""The name under which the catalog is attached everywhere: in Python, in dbt and in the shell."""

SCHEMAS: tuple[str, ...] = (
    "raw",
    "staging",
    "intermediate",
    "marts",
    "features",
    "predictions",
    "monitoring",
    "ops",
    "truth",
)
"""Every schema of the lake. ``truth`` holds the simulator's hidden values; only the report may read it."""

_MEMORY_LIMIT = re.compile(r"^(\d+(?:\.\d+)?)\s*([KMGT])(i?)B$", re.IGNORECASE)


@dataclass(frozen=True)
class LakeConfig:
    """Settings of one lake.

    Args:
        home: Folder that holds everything the installation keeps (`$ASSAY_HOME`).
        catalog_url: None for a SQLite catalog under ``home``; otherwise
            ``postgresql://user:password@host:port/db``.
        data_path: Where Parquet files go, in a private folder (`lake.ownership.data_folder`): a folder or an
            object-store prefix. None for ``home/lake/data``.
        memory_limit: What one DuckDB instance may use, such as ``4GB``; it spills to ``home/tmp`` beyond
            that.
        threads: DuckDB threads per instance.
        lock_timeout_s: How long a writer waits for the write lock before it gives up, in seconds.
        object_store: Where the data path's bucket is; None for a folder.

    Raises:
        CatalogUrlError: If the catalog address is not PostgreSQL.
        DataPathError: If the data path is empty.
        ValueError: If a limit is not usable.
    """

    home: Path
    # It may hold a password.
    catalog_url: str | None = field(default=None, repr=False)
    data_path: str | None = None
    memory_limit: str = "4GB"
    threads: int = 2
    lock_timeout_s: float = 600.0
    object_store: ObjectStore | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", Path(self.home).expanduser().absolute())
        if self.data_path is not None:
            object.__setattr__(self, "data_path", _absolute(self.data_path))
        if self.catalog_url is not None:
            PostgresAddress.of(self.catalog_url)
        if not _MEMORY_LIMIT.match(self.memory_limit):
            raise ValueError(
                f"memory_limit must be a number with a unit such as 4GB; found {self.memory_limit!r}."
            )
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1; found {self.threads}.")
        if self.lock_timeout_s < 0:
            raise ValueError(f"lock_timeout_s must not be negative; found {self.lock_timeout_s}.")

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> LakeConfig:
        """The configuration whose fields were written as JSON, for a child process (`dataclasses.asdict`)."""
        store = values["object_store"]
        return cls(**{**values, "object_store": None if store is None else ObjectStore(**store)})

    @property
    def is_postgres(self) -> bool:
        """Whether the catalog is in PostgreSQL."""
        return self.catalog_url is not None

    @property
    def may_exist(self) -> bool:
        """Whether there is a catalog, or may be one: a server is not asked."""
        return self.is_postgres or self.catalog_path.exists()

    @property
    def folder(self) -> Path:
        """Folder of the embedded catalog, its data and the write lock."""
        return self.home / "lake"

    @property
    def catalog_path(self) -> Path:
        """The SQLite catalog file (embedded default only)."""
        return self.folder / "catalog.sqlite"

    @property
    def temp_directory(self) -> Path:
        """Where DuckDB spills what does not fit into ``memory_limit``."""
        return self.home / "tmp"

    @property
    def memory_bytes(self) -> int:
        """``memory_limit`` in bytes."""
        found = _MEMORY_LIMIT.match(self.memory_limit)
        assert found is not None, "the constructor refuses other limits"
        number, unit, binary = found.groups()
        return int(float(number) * (1024 if binary else 1000) ** ("KMGT".index(unit.upper()) + 1))

    @property
    def data_root(self) -> str:
        """The data path with a trailing slash; `lake.ownership.data_folder` gives the lake's own folder in it."""
        path = self.data_path if self.data_path is not None else str(self.folder / "data")
        return path if path.endswith("/") else f"{path}/"

    @cached_property
    def postgres(self) -> PostgresAddress:
        """The PostgreSQL address, and the password apart from it."""
        if self.catalog_url is None:
            raise CatalogUrlError("This lake has a SQLite catalog; there is no PostgreSQL address to give.")
        return PostgresAddress.of(self.catalog_url)

    @property
    def ducklake_path(self) -> str:
        """What follows ATTACH: the catalog's kind and address, without a password."""
        if self.is_postgres:
            return f"ducklake:postgres:{self.postgres.dsn()}"
        return f"ducklake:sqlite:{self.catalog_path}"

    @property
    def extensions(self) -> tuple[str, ...]:
        """DuckDB extensions this lake needs, in loading order."""
        catalog = "postgres_scanner" if self.is_postgres else "sqlite_scanner"
        return ("ducklake", catalog, *(() if self.object_store is None else ("httpfs",)))


def _absolute(data_path: str) -> str:
    """The same place whatever the working directory: dbt runs in another one."""
    if not data_path.strip():
        raise DataPathError(
            "Expected a folder or a prefix as data path, found an empty text; leave it out instead."
        )
    return data_path if is_object_store(data_path) else str(Path(data_path).expanduser().absolute())
