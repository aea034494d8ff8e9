"""A small home backed up and restored: beside writers and maintenance, killed, by two at once, with damaged files."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lake.backup_record import last_backup
from lake.connection import Lake
from lake.content import content, differences
from lake.digests import review
from lake.errors import LakeError
from lake.maintenance import MaintenanceReport, maintain
from orchestration.backup.errors import BackupError
from orchestration.backup.folder import BackupFolder
from orchestration.backup.restoring import replace_damaged, restore
from orchestration.backup.taking import back_up
from orchestration.home import prepare_home
from orchestration.reliability.scratch import scratch_settings
from orchestration.resources import Assay


def assay_of(home: Path, **chosen: object) -> Assay:
    return Assay(scratch_settings(home, threads=1, memory_limit="500MB", **chosen))


@pytest.fixture(scope="module")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = assay_of(tmp_path_factory.mktemp("small") / "home")
    prepare_home(made.settings)
    with made.lake.write("numbers") as con:
        con.execute("create table raw.numbers as select range as n from range(5000)")
    grow(made.lake, 2)
    with closing(sqlite3.connect(made.settings.home_path / "alerts.db")) as con:
        con.execute("pragma journal_mode = wal")
        con.execute("create table said (words)")
        con.execute("insert into said values ('in the log')")
        con.commit()
    (made.settings.home_path / "wallets.yaml").write_text("mine: [0xabc]\n")
    made.registry.artifacts.put_bytes(b"a model", "cbm")
    return made.settings.home_path


@pytest.fixture
def assay(small_home: Path, tmp_path: Path) -> Assay:
    shutil.copytree(small_home, tmp_path / "home")
    return assay_of(tmp_path / "home")


def grow(lake: Lake, times: int) -> None:
    for _ in range(times):
        with lake.write("more") as con:
            con.execute("insert into raw.numbers select range from range(1000)")


def numbers(lake: Lake) -> dict[str, dict[str, object]]:
    return content(lake, ["raw"])


def test_a_home_is_the_same_on_another_path_and_works_on(assay: Assay, tmp_path: Path) -> None:
    folder, home = BackupFolder(tmp_path / "backups"), assay.settings.home_path
    done = back_up(assay, folder, keep=2)
    assert done.manifest.missing == ()
    assert done.files_copied == len({file.sha256 for file in done.manifest.files})
    again = back_up(assay, folder, keep=2)
    assert (again.files_copied, again.bytes_copied) == (0, 0)
    known = last_backup(home)
    assert known is not None
    assert (known.folder, known.name, known.snapshot) == (
        str(folder.path),
        again.name,
        assay.lake.snapshot_id(),
    )

    before = numbers(assay.lake)
    grow(assay.lake, 1)  # after the backup
    target = tmp_path / "a place with ' and ? and %20"
    restored = assay_of(restore(folder, target).home)
    assert differences(before, numbers(restored.lake)) == []
    with restored.lake.read() as con:
        assert review(con, restored.lake.data_folder).damaged == ()
    with closing(sqlite3.connect(target / "alerts.db")) as con:
        assert con.execute("select words from said").fetchall() == [("in the log",)]
    assert (target / "wallets.yaml").read_text() == "mine: [0xabc]\n"
    assert target.stat().st_mode & 0o077 == 0
    grow(restored.lake, 1)
    assert differences(numbers(assay.lake), numbers(restored.lake)) == []
    assert maintain(restored.lake, [], 0).files_deleted > 0
    assert back_up(restored, folder, keep=5).manifest.home == str(target)
    with pytest.raises(BackupError, match="found one; nothing was changed"):
        restore(folder, target)


def test_the_files_of_the_copied_catalog_stay_until_they_are_copied(
    assay: Assay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, before = BackupFolder(tmp_path / "backups"), numbers(assay.lake)
    reports: list[MaintenanceReport] = []
    put = BackupFolder.put

    def put_while_maintained(self: BackupFolder, *given: Any) -> object:
        if not reports:
            with assay.lake.write("delete") as con:
                con.execute("delete from raw.numbers where n > 100")
            reports.append(maintain(assay.lake, [], 0))
        return put(self, *given)

    monkeypatch.setattr(BackupFolder, "put", put_while_maintained)
    assert back_up(assay, folder, keep=1).manifest.missing == ()
    monkeypatch.undo()
    assert reports[0].files_deleted == 0
    assert "a backup reads them" in reports[0].first_not_ours[0]
    assert maintain(assay.lake, [], 0).files_deleted > 0
    assert differences(before, numbers(assay_of(restore(folder, tmp_path / "other").home).lake)) == []


def test_a_backup_while_a_writer_works_is_one_of_its_commits(assay: Assay, tmp_path: Path) -> None:
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            grow(assay.lake, 1)

    writer = threading.Thread(target=work)
    writer.start()
    try:
        done = back_up(assay, BackupFolder(tmp_path / "backups"), keep=1)
    finally:
        ended.set()
        writer.join()
    restored = assay_of(restore(BackupFolder(tmp_path / "backups"), tmp_path / "other").home)
    with assay.lake.read(done.manifest.snapshot) as con:
        then = con.execute("select count(*) from raw.numbers").fetchone()
    with restored.lake.read() as con:
        assert con.execute("select count(*) from raw.numbers").fetchone() == then
        assert review(con, restored.lake.data_folder).damaged == ()


def test_damaged_files_are_left_out_by_name_and_put_back_from_an_earlier_backup(
    assay: Assay, tmp_path: Path
) -> None:
    folder = BackupFolder(tmp_path / "backups")
    files = sorted(Path(assay.lake.data_folder).rglob("*.parquet"))
    model = next((assay.settings.home_path / "artifacts").rglob("*.cbm"))
    whole = {path: path.read_bytes() for path in (*files[:3], model)}
    back_up(assay, folder, keep=3)
    files[0].unlink()
    files[1].write_bytes(whole[files[1]][:-1])
    flipped = bytearray(whole[files[2]])
    flipped[len(flipped) // 2] ^= 4
    files[2].write_bytes(flipped)
    model.write_bytes(b"a muddle")
    # What the folder has already is not read again: the second backup is whole although the home is not.
    assert back_up(assay, folder, keep=3).manifest.missing == ()
    elsewhere = back_up(assay, BackupFolder(tmp_path / "fresh"), keep=3).manifest
    assert len(elsewhere.missing) == 4
    assert not {file.path for file in elsewhere.files} & {one.split(":")[0] for one in elsewhere.missing}
    with pytest.raises(BackupError, match="4 that are not"):
        restore(BackupFolder(tmp_path / "fresh"), tmp_path / "other")

    done = replace_damaged(assay, folder)
    assert (len(done.replaced), done.missing) == (4, ())
    assert {path: path.read_bytes() for path in whole} == whole
    assert replace_damaged(assay, folder).replaced == ()
    files[0].unlink()
    shutil.rmtree(folder.path / "contents")
    assert [one.split(": ")[1] for one in replace_damaged(assay, folder).missing] == ["no file"]


def test_a_damaged_database_beside_the_catalog_does_not_stop_the_rest(assay: Assay, tmp_path: Path) -> None:
    home = assay.settings.home_path
    (home / "mlflow.sqlite").write_bytes(b"SQLite format 3\0" + b"\7" * 5000)
    done = back_up(assay, BackupFolder(tmp_path / "backups"), keep=1)
    assert [one.split(":")[0] for one in done.manifest.missing] == ["mlflow.sqlite"]


def test_a_damaged_manifest_is_why_no_earlier_backup_is_removed_and_the_new_one_is_made(
    assay: Assay, tmp_path: Path
) -> None:
    folder = BackupFolder(tmp_path / "backups")
    first, second = back_up(assay, folder, keep=3), back_up(assay, folder, keep=3)
    (folder.path / "manifests" / f"{second.name}.json").write_text("{}")
    third = back_up(assay, folder, keep=2)
    assert third.backups_removed == 0
    assert f"No earlier backup was removed: Expected the manifest of backup {second.name}" in str(
        third.not_removed
    )
    assert folder.names() == [first.name, second.name, third.name]


def test_what_was_moved_aside_as_damaged_is_in_no_backup(assay: Assay, tmp_path: Path) -> None:
    home = assay.settings.home_path
    (home / "alerts.db").rename(home / "alerts.db.damaged")
    (home / "alerts.db.damaged").write_bytes(b"SQLite format 3\0 and then nothing")
    (home / "dagster.damaged").mkdir()
    (home / "dagster.damaged" / "runs.db").write_bytes(b"SQLite format 3\0 and then nothing")
    manifest = back_up(assay, BackupFolder(tmp_path / "backups"), keep=2).manifest
    assert manifest.missing == ()
    assert not [file.path for file in manifest.files if "damaged" in file.path]


def test_a_model_file_that_was_lost_before_the_newest_backup_is_put_back_from_an_earlier_one(
    assay: Assay, tmp_path: Path
) -> None:
    folder = BackupFolder(tmp_path / "backups")
    model = next((assay.settings.home_path / "artifacts").rglob("*.cbm"))
    whole = model.read_bytes()
    back_up(assay, folder, keep=3)
    model.unlink()
    back_up(assay, folder, keep=3)
    done = replace_damaged(assay, folder)
    assert (len(done.replaced), done.missing) == (1, ())
    assert model.read_bytes() == whole


def test_secrets_are_in_no_backup(assay: Assay, tmp_path: Path) -> None:
    made = assay_of(
        assay.settings.home_path, alert_urls="json://user:hunter2@host", refits=3, rpc_urls="http://k3y@n"
    )
    manifest = back_up(made, BackupFolder(tmp_path / "backups"), keep=1).manifest
    assert manifest.settings["ASSAY_REFITS"] == "3"
    assert "hunter2" not in manifest.to_text()
    assert "k3y" not in manifest.to_text()


def test_places_that_cannot_hold_a_backup_are_refused_in_a_sentence(assay: Assay, tmp_path: Path) -> None:
    home = assay.settings.home_path
    for wrong in (home, home / "backups", home.parent):
        with pytest.raises(BackupError, match="apart from the home"):
            back_up(assay, BackupFolder(wrong), keep=1)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BackupError, match="Expected to write a backup"):
        back_up(assay, BackupFolder(tmp_path / "file"), keep=1)
    assert last_backup(home) is None


def test_a_catalog_on_a_server_is_refused_with_the_way_to_do_it(tmp_path: Path) -> None:
    from lake.config import LakeConfig
    from lake.copying import copied

    class OnServer(Lake):
        data_folder = "/nowhere/"

    lake = OnServer(LakeConfig(tmp_path, catalog_url="postgresql://nobody@localhost:1/none"))
    with pytest.raises(LakeError, match="pg_dump first"), copied(lake, tmp_path / "copy"):
        pass


_WORK = {
    "backup": "back_up(Assay(scratch_settings(home, threads=1)), folder, keep=9)",
    "restore": "restore(folder, home)",
}


def _start(work: str, folder: Path, home: Path) -> subprocess.Popen[bytes]:
    """A process that takes 20 ms more for each block of a file, with the copy open."""
    program = f"""
import sys, time
from pathlib import Path
from orchestration.backup import folder as slow
from orchestration.backup.folder import BackupFolder
from orchestration.backup.restoring import restore
from orchestration.backup.taking import back_up
from orchestration.reliability.scratch import scratch_settings
from orchestration.resources import Assay
read = slow._block
def slowly(reading):
    print("block", flush=True)
    time.sleep(0.02)
    return read(reading)
slow._block = slowly
folder, home = BackupFolder(Path(sys.argv[1])), Path(sys.argv[2])
{_WORK[work]}
"""
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder), str(home)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def _killed_at_block(number: int, work: str, folder: Path, home: Path) -> None:
    process = _start(work, folder, home)
    assert process.stdout is not None
    for _ in range(number):
        assert process.stdout.readline() == b"block\n"
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


@pytest.mark.slow
def test_killed_at_a_file_the_earlier_backup_is_whole_and_the_next_try_ends(
    assay: Assay, tmp_path: Path
) -> None:
    folder, before = BackupFolder(tmp_path / "backups"), numbers(assay.lake)
    first = back_up(assay, folder, keep=9)
    grow(assay.lake, 3)
    _killed_at_block(4, "backup", folder.path, assay.settings.home_path)
    assert folder.names() == [first.name]
    assert list((folder.path / "unfinished").iterdir()) != []
    _killed_at_block(7, "restore", folder.path, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    restored = restore(folder, tmp_path / "other")
    assert differences(before, numbers(assay_of(restored.home).lake)) == []
    assert not any(path.name.startswith(".") for path in tmp_path.iterdir())
    second = back_up(assay, folder, keep=9)
    assert folder.names() == [first.name, second.name]
    assert list((folder.path / "unfinished").iterdir()) == []
    after = restore(folder, tmp_path / "third")
    assert differences(numbers(assay.lake), numbers(assay_of(after.home).lake)) == []


@pytest.mark.slow
def test_two_at_once_both_end_with_a_whole_backup_and_one_home(assay: Assay, tmp_path: Path) -> None:
    folder, home = tmp_path / "backups", assay.settings.home_path
    both = [_start("backup", folder, home) for _ in range(2)]
    for process in both:
        process.communicate()
    assert [process.returncode for process in both] == [0, 0]
    assert len(BackupFolder(folder).names()) == 2
    one = _start("restore", folder, tmp_path / "other")
    assert one.stdout is not None
    one.stdout.readline()
    with pytest.raises(BackupError, match="Another process"):
        restore(BackupFolder(folder), tmp_path / "other")
    one.communicate()
    assert one.returncode == 0
    assert differences(numbers(assay.lake), numbers(assay_of(tmp_path / "other").lake)) == []
