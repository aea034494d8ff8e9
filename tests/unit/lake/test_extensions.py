"""DuckDB's extensions come from the wheels of the environment, and from DuckDB's own folder where there is no wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
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


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="which files a process has loaded is asked of Linux"
)
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


def test_without_a_wheel_the_installed_file_is_verified_once_and_loaded_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extensions, "wheel_file", lambda _: None)
    monkeypatch.setattr(extensions, "_installed", {})
    for _ in range(2):
        with open_database(("ducklake",)) as con:
            [(loaded, path)] = con.execute(LOADED).fetchall()
        assert loaded
        assert path == str(extensions.extension_file("ducklake"))
    [link] = extension_folder(("ducklake",), tmp_path).rglob("*.duckdb_extension")
    assert link.readlink() == Path(path)


def test_without_a_wheel_an_unsigned_file_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsigned = tmp_path / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform()
    unsigned.mkdir(parents=True)
    signed = wheel_file("ducklake")
    assert signed is not None
    # The signature is at the end of the file.
    (unsigned / signed.name).write_bytes(signed.read_bytes()[:-256] + bytes(256))
    monkeypatch.setattr(extensions, "wheel_file", lambda _: None)
    monkeypatch.setattr(extensions, "_installed", {})
    monkeypatch.setattr(extensions, "_install", lambda *_: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(duckdb.Error, match="signature"):
        open_database(("ducklake",))


def test_a_folder_that_holds_no_links_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "extensions").write_text("a file")
    with pytest.raises(
        ExtensionUnavailableError, match=r"Expected to make links in .*, found: .*symbolic links"
    ):
        extension_folder(("ducklake",), tmp_path)


def platform() -> str:
    with duckdb.connect() as con:
        return str(con.execute("select platform from pragma_platform()").fetchall()[0][0])


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
