"""The folder of backups: shared contents, damaged ones, old backups, other people's folders, hostile manifests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.backup.errors import BackupError
from orchestration.backup.folder import BackupFolder, UnreadableFileError
from orchestration.backup.manifest import BackedUpFile, Manifest, digest_of
from orchestration.backup.restoring import restore

LAKE = "9507bc57-ce88-4bf2-92b4-43ed089c8522"


def manifest(*files: BackedUpFile) -> Manifest:
    return Manifest("2026-11-29T16:00:00+00:00", "/somewhere/home", LAKE, 7, "0.1.0", {}, files)


def backed_up(folder: BackupFolder, source: Path, **contents: str) -> str:
    with folder.locked(0):
        folder.prepare(LAKE)
        files = []
        for name, text in contents.items():
            (source / name).write_text(text)
            content = folder.put(source / name)
            files.append(BackedUpFile(name, content.sha256, content.bytes))
        return folder.finish(manifest(*files))


@pytest.fixture
def folder(tmp_path: Path) -> BackupFolder:
    return BackupFolder(tmp_path / "backups")


def stored(folder: BackupFolder) -> list[Path]:
    return sorted((folder.path / "contents").glob("*/*"))


def test_what_two_backups_share_is_there_once_and_goes_with_the_last_that_needs_it(
    folder: BackupFolder, tmp_path: Path
) -> None:
    first = backed_up(folder, tmp_path, one="same", two="old")
    second = backed_up(folder, tmp_path, one="same", two="new")
    assert folder.names() == [first, second]
    assert len(stored(folder)) == 3
    assert folder.remove_old(keep=1) == 1
    assert folder.names() == [second]
    assert sorted(path.read_text() for path in stored(folder)) == ["new", "same"]
    third = backed_up(folder, tmp_path, one="same")
    assert folder.names() == [second, third]  # numbers go on


def test_the_order_of_backups_is_no_matter_of_the_clock(folder: BackupFolder, tmp_path: Path) -> None:
    late = replace(manifest(), made_at="2031-01-01T00:00:00+00:00")
    with folder.locked(0):
        folder.prepare(LAKE)
        folder.finish(late)
    newest = backed_up(folder, tmp_path, one="text")
    assert folder.read()[0] == newest


def test_a_damaged_content_is_named_and_not_restored_and_the_next_verified_backup_mends_it(
    folder: BackupFolder, tmp_path: Path
) -> None:
    backed_up(folder, tmp_path, one="abcdef", two="whole")
    damaged = next(path for path in stored(folder) if path.read_text() == "abcdef")
    damaged.write_text("abcdeg")
    with pytest.raises(BackupError, match="1 that are not: one: other bytes than were backed up"):
        restore(folder, tmp_path / "home")
    assert not (tmp_path / "home").exists()
    folder.put(tmp_path / "one")  # what is read anyway replaces it
    assert damaged.read_text() == "abcdef"
    damaged.write_text("abcdeg")
    verifying = BackupFolder(folder.path, verify=True)
    assert verifying.put(tmp_path / "one", damaged.name, 6).copied
    assert restore(folder, tmp_path / "home").missing == ()
    assert (tmp_path / "home" / "one").read_text() == "abcdef"


def test_without_a_content_the_rest_can_be_restored(folder: BackupFolder, tmp_path: Path) -> None:
    backed_up(folder, tmp_path, one="lost", two="whole")
    next(path for path in stored(folder) if path.read_text() == "lost").unlink()
    done = restore(folder, tmp_path / "home", incomplete=True)
    assert done.missing == ("one: no file",)
    assert (tmp_path / "home" / "two").read_text() == "whole"


def test_a_changed_manifest_is_refused_and_the_earlier_one_named(
    folder: BackupFolder, tmp_path: Path
) -> None:
    first = backed_up(folder, tmp_path, one="text")
    second = backed_up(folder, tmp_path, one="text", two="text")
    path = folder.path / "manifests" / f"{second}.json"
    path.write_text(path.read_text().replace('"snapshot": 7', '"snapshot": 8'))
    with pytest.raises(BackupError, match=f"damaged .*--backup {first}"):
        folder.read()
    assert folder.read(first)[0] == first
    with pytest.raises(BackupError, match="damaged"):  # what that one needs is not known
        folder.remove_old(keep=1)
    assert folder.names() == [first, second]


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "", "a\0b"])
def test_a_manifest_that_names_files_outside_of_the_home_is_refused(folder: BackupFolder, path: str) -> None:
    with folder.locked(0):
        folder.prepare(LAKE)
        folder.finish(manifest(BackedUpFile(path, "0" * 64, 1)))
    with pytest.raises(BackupError, match="within a home"):
        folder.read()


def test_a_digest_that_is_none_is_refused() -> None:
    text = manifest(BackedUpFile("one", "../" * 21 + "x", 1)).to_text()
    with pytest.raises(BackupError, match="Expected a SHA-256"):
        Manifest.from_text(text, digest_of(text))
    newer = json.dumps({**json.loads(text), "format": 2})
    with pytest.raises(BackupError, match="with the version of Assay that made it"):
        Manifest.from_text(newer, digest_of(newer))


def test_a_folder_with_other_files_or_of_another_lake_is_refused(
    folder: BackupFolder, tmp_path: Path
) -> None:
    mine = BackupFolder(tmp_path / "mine")
    mine.path.mkdir()
    (mine.path / "letter.txt").write_text("dear")
    with mine.locked(0), pytest.raises(BackupError, match="found other files"):
        mine.prepare(LAKE)
    backed_up(folder, tmp_path, one="text")
    with folder.locked(0), pytest.raises(BackupError, match="those of lake"):
        folder.prepare("another")
    with pytest.raises(BackupError, match="found none"):
        BackupFolder(tmp_path / "nothing").read()


def test_the_second_of_two_waits_and_is_then_refused(folder: BackupFolder) -> None:
    other = BackupFolder(folder.path)
    with folder.locked(0), pytest.raises(BackupError, match="another process"), other.locked(0.1):
        pass


def test_a_file_that_cannot_be_read_is_named(folder: BackupFolder, tmp_path: Path) -> None:
    with folder.locked(0):
        folder.prepare(LAKE)
        with pytest.raises(UnreadableFileError, match="no file"):
            folder.put(tmp_path / "nothing")
        (tmp_path / "other").write_text("other")
        with pytest.raises(UnreadableFileError, match="other bytes"):
            folder.put(tmp_path / "other", "0" * 64)
        assert list((folder.path / "unfinished").iterdir()) == []
