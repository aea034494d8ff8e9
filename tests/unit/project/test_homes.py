"""A shared home is made once, and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.homes import made_once, shared_folder


def test_workers_share_one_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    shared = shared_folder(tmp_path_factory)
    assert shared.parent == tmp_path_factory.getbasetemp().parent


def test_made_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    calls = []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "made").touch()

    for _ in range(2):
        assert (made_once(tmp_path_factory, "test-made-once", make) / "made").exists()
    assert len(calls) == 1


def test_what_failed_half_way_is_made_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("killed")

    def make(folder: Path) -> None:
        assert list(folder.iterdir()) == []

    with pytest.raises(ValueError, match="killed"):
        made_once(tmp_path_factory, "test-half-way", fail)
    assert made_once(tmp_path_factory, "test-half-way", make).is_dir()
