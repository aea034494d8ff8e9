"""When the dbt project is parsed again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestration.marts import manifest


@pytest.fixture
def parsed(tmp_path: Path) -> Path:
    """A project that was parsed a minute after it was last changed."""
    from importlib.metadata import version

    for name in ("models/marts/a.sql", "macros/m.sql", "dbt_project.yml", "target/partial_parse.msgpack"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "target/manifest.json").write_text(
        f'{{"metadata": {{"dbt_version": "{version("dbt-core")}"}}}}'
    )
    for path in tmp_path.rglob("*"):
        at = 1_600_000_060 if path.parent.name == "target" else 1_600_000_000
        os.utime(path, (at, at))
    return tmp_path


def test_nothing_changed(parsed: Path) -> None:
    assert manifest.is_current(parsed)


@pytest.mark.parametrize("name", ["models/marts/a.sql", "macros/m.sql", "dbt_project.yml"])
def test_a_file_changed(parsed: Path, name: str) -> None:
    (parsed / name).write_text("select 1")
    assert not manifest.is_current(parsed)


def test_a_file_was_removed(parsed: Path) -> None:
    (parsed / "models/marts/a.sql").unlink()
    assert not manifest.is_current(parsed)


def test_never_parsed(parsed: Path) -> None:
    (parsed / "target/partial_parse.msgpack").unlink()
    assert not manifest.is_current(parsed)


def test_parsed_by_another_dbt(parsed: Path) -> None:
    (parsed / "target/manifest.json").write_text('{"metadata": {"dbt_version": "1.0.0"}}')
    assert not manifest.is_current(parsed)
