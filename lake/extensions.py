"""Load DuckDB's extensions: from the installed wheels first, else from DuckDB's repository.

A wheel needs no network, so a machine behind a registry mirror works like any other.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

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


_checked: set[str] = set()
"""Extensions whose signature this process has verified."""


def open_database(
    extensions: tuple[str, ...], config: Mapping[str, str | int | bool | float] | None = None
) -> duckdb.DuckDBPyConnection:
    """A DuckDB instance of its own, in memory, with extensions loaded.

    They are loaded from the files of the installed wheels, which are code like the rest of the environment: nothing is
    copied or verified again. Where a wheel is missing, the extension that DuckDB has installed is loaded. DuckDB
    verifies its signature by hashing the whole file, 150 ms each; a process opens hundreds of instances, and has that
    done once.

    Args:
        extensions: Their names.
        config: DuckDB's settings.

    Raises:
        ExtensionUnavailableError: If one can be had neither from its wheel nor by INSTALL.
    """
    _name_the_home_directory()
    files = {name: wheel_file(name) for name in extensions}
    from_wheels = all(files.values())
    trusted = from_wheels or set(extensions) <= _checked
    con = duckdb.connect(config={**(config or {}), "allow_unsigned_extensions": trusted})
    # Where Python looks interactive to it, DuckDB prints a bar to standard output, which is the caller's.
    con.execute("set enable_progress_bar = false")
    try:
        for name, file in files.items():
            if from_wheels:
                _load_file(con, name, file)
            else:
                load_extension(con, name)
    except ExtensionUnavailableError:
        con.close()
        raise
    if not from_wheels:
        _checked.update(extensions)
    return con


def _load_file(con: duckdb.DuckDBPyConnection, name: str, file: Path | None) -> None:
    try:
        con.load_extension(str(file))
    except duckdb.Error as error:
        raise ExtensionUnavailableError(
            f"Expected DuckDB {duckdb.__version__} to load {file}, found: {error}. Install the package "
            f"{WHEELS.get(name, name)}=={duckdb.__version__} again."
        ) from error


def wheel_file(name: str) -> Path | None:
    """The file of an extension in its installed wheel; None if there is none for this version of DuckDB."""
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "extensions" / f"v{duckdb.__version__}"
    file = folder / f"{name}.duckdb_extension"
    return file if file.is_file() else None


def _name_the_home_directory() -> None:
    """DuckDB keeps extensions below `HOME`, which services and cron jobs may lack: it is the user's as registered."""
    if not os.environ.get("HOME"):
        with suppress(RuntimeError):
            os.environ["HOME"] = str(Path("~").expanduser())


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load one extension, installing it from its wheel or else by INSTALL.

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


def extension_folder(names: tuple[str, ...], beside: Path) -> Path | None:
    """A folder from which a library that loads extensions by name (dbt's adapter) gets the very files of the wheels.

    The links in it matter. The same extension from a copy of its file would be a second SQLite library in the process,
    and each of two drops the other's locks when it closes the catalog: readers then find it malformed.

    Args:
        names: Of the extensions.
        beside: A folder that may be written to; the links are put into a folder in it.

    Returns:
        DuckDB's setting `extension_directory`; such a folder needs `allow_unsigned_extensions`. None where a wheel is
        missing: the extensions are in DuckDB's own folder, from which `open_database` then loads them, too.

    Raises:
        ExtensionUnavailableError: If one can be had neither from its wheel nor by INSTALL.
    """
    files = {name: wheel_file(name) for name in names}
    if not all(files.values()):
        _install_all(names)
        return None
    with closing(duckdb.connect()) as con:
        [(platform,)] = con.execute("select platform from pragma_platform()").fetchall()
    folder = beside / "extensions"
    linked = folder / f"v{duckdb.__version__}" / platform
    linked.mkdir(parents=True, exist_ok=True)
    for file in filter(None, files.values()):
        link = linked / file.name
        if not (link.is_symlink() and link.readlink() == file):
            new = linked / f"{file.name}.{os.getpid()}"
            new.symlink_to(file)
            new.replace(link)
    return folder


def _install_all(names: tuple[str, ...]) -> None:
    if set(names) <= _checked:
        return
    _name_the_home_directory()
    with closing(duckdb.connect()) as con:
        for name in names:
            load_extension(con, name)
    _checked.update(names)


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
