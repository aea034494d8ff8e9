"""Bad input at the command line: a message that names file, row or setting and the expectation; good rows go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import Done, assay

HEADER = "collection,token_id,timestamp,price,currency,buyer,seller"


def _run_files(tmp_path: Path) -> Done:
    return assay(
        "run",
        "--json",
        "--source",
        "files",
        "--data-dir",
        str(tmp_path / "data"),
        "--home",
        str(tmp_path / "home"),
    )


@pytest.fixture
def data(tmp_path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def test_an_empty_folder(data, tmp_path):
    done = _run_files(tmp_path)
    assert done.returncode == 2
    assert str(data) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_does_not_exist(tmp_path):
    done = _run_files(tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_missing_column(data, tmp_path):
    (data / "sales.csv").write_text("collection,token_id,price\napes,1,2.0\n")
    done = _run_files(tmp_path)
    assert done.returncode == 1
    assert "sales.csv" in done.stderr
    assert "event_time" in done.stderr or "timestamp" in done.stderr


def test_a_truncated_parquet_file(data, tmp_path):
    (data / "sales.parquet").write_bytes(b"PAR1 and then nothing")
    done = _run_files(tmp_path)
    assert done.returncode == 1
    assert "sales.parquet" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["alerts"],
        ["watchdog"],
        ["why", "apes"],
        ["explain", "apes", "1"],
        ["portfolio", "--owner", "0x" + "a" * 40],
        ["retrain", "apes", "--reason", "test"],
        ["rollback", "apes", "--reason", "test"],
        ["replay"],
        ["tune"],
    ],
    ids=lambda command: command[0],
)
def test_a_mistyped_home_is_refused_and_not_begun(command, tmp_path):
    home = tmp_path / "hmoe"
    done = assay(*command, "--home", str(home))
    assert done.returncode == 2
    assert f"{home} is no Assay home" in done.stderr
    assert not home.exists()


def test_a_wrong_setting(tmp_path):
    done = assay("run", "--home", str(tmp_path), ASSAY_SOURCE="excel")
    assert done.returncode == 2
    assert "'simulator' or 'files' or 'ethereum'" in done.stderr


@pytest.mark.slow
def test_bad_rows_wait_in_quarantine_while_the_good_ones_are_valued(data, tmp_path):
    good = [
        f"apes,{i % 7},2024-01-{1 + i // 10:02d}T{i % 10:02d}:00:00,{1 + (i % 5) / 10},ETH,0x{'b' * 40},0x{'c' * 40}"
        for i in range(100)
    ]
    bad = [
        ",1,2024-01-02T00:00:00,1,ETH,,",
        "apes,1,yesterday,1,ETH,,",
        "apes,1,2024-01-02T00:00:00,-1,ETH,,",
        "apes,1,2024-01-02T00:00:00,1,SHELLS,,",
        "apes,1,2924-01-02T00:00:00,1,ETH,,",
        "apes,1,2024-01-02T00:00:00,cheap,ETH,,",
    ]
    (data / "sales.csv").write_text("\n".join([HEADER, *good, *bad]) + "\n")
    done = _run_files(tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["quarantined"] == len(bad)
    assert summary["sales"] == len(good)
    assert summary["collections"] == 1
    assert len(summary["quarantine"]) > 1
    for reason in summary["quarantine"]:
        assert reason["reason"]
        assert reason["expected"]
        assert reason["source_row"].startswith("sales.csv:")
