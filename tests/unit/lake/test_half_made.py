"""A start that was killed at any step, a lost marker, a missing or unwritable folder."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lake import storage
from lake.errors import DataPathError
from lake.maintenance import maintain
from lake.ownership import MARKER
from lake.storage import Storage
from tests.unit.lake.conftest import old_lake, opened, rows, written

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]

STEPS = ("link", "replace", "unlink")


@pytest.mark.parametrize("before_it", ["nothing", "an old lake", "a moved lake"])
@pytest.mark.parametrize("before", [*STEPS, "nothing"])
def test_after_a_kill_at_any_step_the_next_start_continues(
    tmp_path: Path, before_it: str, before: str
) -> None:
    """A process that is killed before each call that changes a file of the marker, and after the last."""
    if before_it == "an old lake":
        old_lake(tmp_path / "home", tmp_path / "exports")
    elif before_it == "a moved lake":
        written(tmp_path / "here", tmp_path / "exports")
        (tmp_path / "here").rename(tmp_path / "home")  # so that the marker is rewritten
    folder = "" if before_it == "an old lake" else "assay-lake"
    killed = (
        "import os, pathlib, sys\n"
        "from pathlib import Path\n"
        "from lake.config import LakeConfig\n"
        "from lake.connection import Lake\n"
        "step = sys.argv[3]\n"
        "def exit_at_once(*_, **__): os._exit(9)\n"
        "if step == 'link': os.link = exit_at_once\n"
        "elif step != 'nothing': setattr(pathlib.Path, step, exit_at_once)\n"
        "Lake(LakeConfig(Path(sys.argv[1]), data_path=sys.argv[2])).data_folder\n"
        "os._exit(9)\n"
    )
    command = [sys.executable, "-c", killed, str(tmp_path / "home"), str(tmp_path / "exports"), before]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 9
    lake = (written if before_it == "nothing" else opened)(tmp_path / "home", tmp_path / "exports")
    assert rows(lake) == 100
    assert json.loads((tmp_path / "exports" / folder / MARKER).read_text())["catalog"].endswith(
        str(lake.config.catalog_path)
    )
    maintain(lake, keep_snapshots=[], retention_days=0)
    assert rows(lake) == 100


@pytest.mark.parametrize("left", [None, b""])
def test_a_lost_or_empty_marker_is_written_again_where_the_files_are(
    tmp_path: Path, left: bytes | None
) -> None:
    marker = Path(written(tmp_path / "home", tmp_path / "exports").data_folder) / MARKER
    before = json.loads(marker.read_text())
    marker.unlink()
    if left is not None:
        marker.write_bytes(left)
    assert rows(opened(tmp_path / "home", tmp_path / "exports")) == 100
    after = json.loads(marker.read_text())
    assert after["lake_id"] == before["lake_id"]
    assert after["since"] > before["since"]


def test_an_invalid_marker_is_not_overwritten(tmp_path: Path) -> None:
    marker = Path(written(tmp_path / "home", tmp_path / "exports").data_folder) / MARKER
    marker.write_text("my notes")
    with pytest.raises(DataPathError, match="my notes"):
        rows(opened(tmp_path / "home", tmp_path / "exports"))
    assert marker.read_text() == "my notes"


def test_a_data_path_that_is_not_mounted_is_refused_and_not_created(tmp_path: Path) -> None:
    written(tmp_path / "home", tmp_path / "exports")
    (tmp_path / "exports").rename(tmp_path / "unmounted")
    with pytest.raises(DataPathError, match="mount or move them there"):
        rows(opened(tmp_path / "home", tmp_path / "exports"))
    assert not (tmp_path / "exports").exists()


def read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_without_write_access_reading_works_and_nothing_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old_lake(tmp_path / "home", tmp_path / "exports")
    # The tests may run as root, whom no permission stops.
    monkeypatch.setattr(storage, "_partial", read_only)
    lake = opened(tmp_path / "home", tmp_path / "exports")
    assert rows(lake) == 100
    assert "cannot be marked" in caplog.text
    with pytest.raises(DataPathError, match="make the folder writable"):
        maintain(lake, keep_snapshots=[], retention_days=0)
    monkeypatch.undo()
    maintain(lake, keep_snapshots=[], retention_days=0)
    assert rows(lake) == 100


def test_the_error_of_a_new_lake_names_the_data_path_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_partial", read_only)
    with pytest.raises(DataPathError, match="Read-only file system"):
        opened(tmp_path / "home", tmp_path / "exports").snapshot_id()


def test_a_marker_is_created_once_also_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(storage.os, "link", unsupported)
    folder = Storage(f"{tmp_path}/", lambda: pytest.fail("a folder needs no connection"))
    assert folder.create("marker", "first")
    assert not folder.create("marker", "second")
    assert folder.read("marker") == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["marker"]
