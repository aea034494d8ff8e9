"""`assay doctor` on a finished home: nothing is found; then one part after the other is harmed, and each is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lake.backup_record import LastBackup, remember
from tests.command import assay
from tests.homes import finished_market

PARTS = [
    "versions", "permissions", "disk", "clock", "lake files", "databases", "other files",
    "model files", "model registry", "backup", "published store",
]  # fmt: skip


@pytest.mark.slow
def test_what_is_harmed_is_named_with_what_to_do(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(finished_market(tmp_path_factory)[0], home)
    well = assay("doctor", "--home", str(home))
    assert well.returncode == 0, well.stdout + well.stderr
    states = [line.split("│")[1].strip() for line in well.stdout.splitlines() if line.startswith("│")]
    assert list(filter(None, states)) == ["ok"] * len(PARTS)
    assert "digest" not in well.stdout  # each file has one

    file = max((home / "lake").rglob("*.parquet"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    shutil.copy(file, file.with_name("mine.parquet"))
    next((home / "artifacts").rglob("*.cbm")).unlink()
    for path in home.glob("mlflow.sqlite*"):
        path.unlink()
    remember(home, LastBackup("/disk", "000001", "2026-01-01T00:00:00+00:00", 7))
    next((home / "serving").glob("*.sqlite")).write_bytes(b"")
    found = assay("doctor", "--home", str(home), "--json")
    assert found.returncode == 1
    parts = {one["part"]: one for one in json.loads(found.stdout)["parts"]}
    assert list(parts) == PARTS
    harmed = {name for name, one in parts.items() if one["problems"]}
    assert harmed == {"lake files", "model files", "model registry", "backup", "published store"}
    assert "has a champion in the lake, and none in the registry" in parts["model registry"]["problems"][0]
    assert all(parts[name]["advice"] for name in harmed)
    assert f"{file.name}: other bytes than were written" in parts["lake files"]["problems"][0]
    assert list(home.glob("mlflow.sqlite*")) == []  # the doctor makes none
    assert "mine.parquet" in parts["other files"]["result"]


def test_a_folder_that_is_no_home_is_refused(tmp_path: Path) -> None:
    done = assay("doctor", "--home", str(tmp_path / "none"))
    assert (done.returncode, (tmp_path / "none").exists()) == (2, False)
    assert "no Assay home" in done.stderr
