"""Load DuckDB's extensions: from the installed wheels first, else from DuckDB's repository.

A wheel needs no network, so a machine behind a registry mirror works like any other.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import duckdb
from duckdb_extensions import import_extension

from lake.errors import ExtensionUnavailableError

WHEELS: dict[str, str] = {
    "ducklake": "duckdb-extension-ducklake",
    "sqlite_scanner": "duckdb-extension-sqlite-scanner",
    "postgres_scanner": "duckdb-extension-postgres-scanner",
    "httpfs": "duckdb-extension-httpfs",
}
"""Extension name → the package that carries it."""


_installed: dict[str, Path] = {}
"""Extension without a wheel → its file in DuckDB's own folder, whose signature this process has verified."""


def open_database(
    extensions: tuple[str, ...], config: Mapping[str, str | int | bool | float] | None = None
) -> duckdb.DuckDBPyConnection:
    """A DuckDB instance of its own, in memory, with extensions loaded.

    Args:
        extensions: Their names.
        config: DuckDB's settings.

    Raises:
        ExtensionUnavailableError: If one can be had neither from its wheel nor by INSTALL.
    """
    _name_the_home_directory()
    files = {name: extension_file(name) for name in extensions}
    # They were verified: by pip with the lock's hashes, or by `extension_file`.
    con = duckdb.connect(config={**(config or {}), "allow_unsigned_extensions": True})
    # Where Python looks interactive to it, DuckDB prints a bar to standard output, which is the caller's.
    con.execute("set enable_progress_bar = false")
    for name, file in files.items():
        try:
            con.load_extension(str(file))
        except duckdb.Error as error:
            con.close()
            raise ExtensionUnavailableError(
                f"Expected DuckDB {duckdb.__version__} to load {file}, found: {error}. Install the package "
                f"{WHEELS.get(name, name)}=={duckdb.__version__} again."
            ) from error
    return con


def extension_file(name: str) -> Path:
    """The one file from which a process loads an extension.

    That of the installed wheel: nothing is copied or verified again. Where there is no wheel, that in DuckDB's own
    folder. DuckDB verifies its signature by hashing the whole file, 150 ms each; a process opens hundreds of instances,
    and has that done once.

    It has to be one file. A copy of it would be a second SQLite library in the process, and each of two drops the
    other's locks when it closes the catalog, so that readers find it malformed.

    Raises:
        ExtensionUnavailableError: If it can be had neither from its wheel nor by INSTALL.
    """
    file = wheel_file(name) or _installed.get(name)
    if file is None:
        _name_the_home_directory()
        with closing(duckdb.connect()) as con:
            load_extension(con, name)
            question = "select install_path from duckdb_extensions() where extension_name = ?"
            [(path,)] = con.execute(question, [name]).fetchall()
        file = _installed[name] = Path(path)
    return file


def wheel_file(name: str) -> Path | None:
    """The file of an extension in its installed wheel; None if there is none for this version of DuckDB."""
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "extensions" / f"v{duckdb.__version__}"
    file = folder / f"{name}.duckdb_extension"
    return file if file.is_file() else None


def extension_folder(names: tuple[str, ...], beside: Path) -> Path:
    """A folder from which a library that loads extensions by name (dbt's adapter) gets the files of `extension_file`.

    Args:
        names: Of the extensions.
        beside: A folder that only this user may write to. The folder is made in it, for these files, with links.

    Returns:
        DuckDB's setting `extension_directory`; such a folder needs `allow_unsigned_extensions`.

    Raises:
        ExtensionUnavailableError: If an extension can be had neither from its wheel nor by INSTALL, or if the folder
            cannot hold links.
    """
    files = [extension_file(name) for name in names]
    with closing(duckdb.connect()) as con:
        [(platform,)] = con.execute("select platform from pragma_platform()").fetchall()
    # Another environment on the same home has other files, and a folder of its own.
    digest = hashlib.sha256("\n".join(map(str, files)).encode()).hexdigest()[:16]
    folder = beside / "extensions" / digest
    linked = folder / f"v{duckdb.__version__}" / platform
    try:
        linked.mkdir(parents=True, exist_ok=True)
        for name, file in zip(names, files, strict=True):
            link = linked / f"{name}.duckdb_extension"
            if not link.is_symlink():
                new = linked / uuid4().hex
                new.symlink_to(file)
                new.replace(link)
    except OSError as error:
        raise ExtensionUnavailableError(
            f"Expected to make links in {linked}, found: {error}. Put the home on a disk that has symbolic links and "
            "that this user may write to."
        ) from error
    return folder


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load one extension by name, installing it from its wheel or else by INSTALL.

    An extension that an earlier process installed is loaded as it is: DuckDB keeps installed extensions per
    version.

    Raises:
        ExtensionUnavailableError: If neither way works; the message holds both reasons.
    """
    try:
        con.load_extension(name)
    except (duckdb.IOException, duckdb.CatalogException, duckdb.InvalidInputException, duckdb.HTTPException):
        _install(con, name)
        con.load_extension(name)


def _name_the_home_directory() -> None:
    """DuckDB keeps extensions below `HOME`, which services and cron jobs may lack: it is the user's as registered."""
    if not os.environ.get("HOME"):
        with suppress(RuntimeError):
            os.environ["HOME"] = str(Path("~").expanduser())


def _install(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Install from the wheel, else from DuckDB's repository."""
    try:
        import_extension(name, con=con)
    except (ImportError, duckdb.Error, RuntimeError) as from_wheel:
        try:
            con.install_extension(name)
        except duckdb.Error as from_repository:
            raise ExtensionUnavailableError(
                f"Expected DuckDB extension {name!r} for DuckDB {duckdb.__version__}. "
                f"From its wheel: {type(from_wheel).__name__}: {from_wheel}. "
                f"By INSTALL: {type(from_repository).__name__}: {from_repository}. "
                f"Install the package {WHEELS.get(name, name)}=={duckdb.__version__}, "
                f"or run `INSTALL {name}` once with a network."
            ) from from_repository
