"""docs/reliability.md says what was measured, and where nothing was, that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestration.reliability.document import PAGE, page
from orchestration.reliability.measured import (
    FOLDER,
    PARTS,
    Figure,
    MeasurementError,
    read_measurement,
    write_measurement,
)


def test_the_page_is_made_of_what_is_measured() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "out of date: make docs-reliability"


def test_a_part_without_a_measurement_is_shown_as_such(tmp_path: Path) -> None:
    assert page(tmp_path / "none").count("Not measured yet.") == len(PARTS)


def test_a_figure_is_shown_with_its_aim_and_whether_it_was_met(tmp_path: Path) -> None:
    figures = [
        Figure("kills | by -9", "100", "100", met=True),
        Figure("rows lost", "1", "0", met=False),
        Figure("time", "3 s"),
    ]
    path = write_measurement("restore", "python -m x", figures, ["Two cores."], tmp_path)
    assert path == tmp_path / "restore.json"
    shown = page(tmp_path)
    assert "| kills \\| by -9 | 100 | 100 | yes |" in shown
    assert "| rows lost | 1 | 0 | **no** |" in shown
    assert "| time | 3 s |  |  |" in shown
    assert "by `python -m x`. Two cores." in shown
    assert shown.count("Not measured yet.") == len(PARTS) - 1


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"figures": [{"wat": 1}]}', '{"figures": 3}', '{"figures": [], "x": 1}', "\x00"]
)
def test_a_file_of_another_shape_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "restore.json").write_text(text)
    with pytest.raises(MeasurementError, match=r"restore\.json: expected a measurement"):
        page(tmp_path)


def test_a_part_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="expected a part of the reliability page"):
        write_measurement("../kills", "x", [], [], tmp_path)


def test_every_file_in_the_folder_can_be_read() -> None:
    for part in PARTS:
        measured = read_measurement(part)
        assert measured is None or measured.figures, part.name
    for path in FOLDER.glob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
