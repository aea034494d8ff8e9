"""DuckDB's extensions come from the wheels of the environment, and from DuckDB's own folder where there is no wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lake import extensions
from lake.errors import ExtensionUnavailableError
from lake.extensions import extension_folder, open_database, wheel_file

LOADED = "select loaded, install_path from duckdb_extensions() where extension_name = 'ducklake'"


def test_extensions_are_loaded_from_the_wheels_and_nothing_is_written_below_home(tmp_path: Path) -> None:
    program = (
        "from lake.extensions import open_database\n"
        f'print(open_database(("ducklake", "sqlite_scanner")).execute("{LOADED}").fetchone()[0])'
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n"
    assert list(tmp_path.iterdir()) == []


def test_who_loads_extensions_by_name_gets_the_files_of_the_wheels(tmp_path: Path) -> None:
    """Two SQLite libraries in one process would drop each other's locks on the catalog."""
    program = f"""
import duckdb
from pathlib import Path
from lake.extensions import extension_folder, open_database

names = ("ducklake", "sqlite_scanner")
ours = open_database(names)
folder = None
for _ in range(2):
    folder = extension_folder(names, Path({str(tmp_path)!r}))
with duckdb.connect(config={{"extension_directory": str(folder), "allow_unsigned_extensions": "true"}}) as con:
    for name in names:
        con.install_extension(name)
        con.load_extension(name)
maps = Path("/proc/self/maps").read_text().splitlines()
print(len({{line.split()[-1] for line in maps if line.endswith(".duckdb_extension")}}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n", "one file for each of two extensions"


def test_without_the_wheels_signed_extensions_are_loaded_and_unsigned_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extensions, "wheel_file", lambda _: None)
    monkeypatch.setattr(extensions, "_checked", set())
    settings = "select current_setting('allow_unsigned_extensions')"
    with open_database(("ducklake",)) as con:
        assert con.execute(LOADED).fetchone()[0]
        assert con.execute(settings).fetchone() == (False,)
    with open_database(("ducklake",)) as con:
        assert con.execute(LOADED).fetchone()[0], "its signature was checked by the first"
    assert extension_folder(("ducklake",), tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_of_a_wheel_is_named_with_the_package_to_install_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ducklake.duckdb_extension"
    file.write_bytes(b"x" * 1000)
    monkeypatch.setattr(extensions, "wheel_file", lambda _: file)
    with pytest.raises(
        ExtensionUnavailableError, match=f"{file}, found: .* duckdb-extension-ducklake==.* again"
    ):
        open_database(("ducklake",))


def test_an_extension_without_a_wheel_has_no_file() -> None:
    assert wheel_file("no_such_extension") is None
