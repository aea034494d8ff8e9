"""The command around a study: its budget as text, one at a time, and its picture."""

import base64
from pathlib import Path

import pytest

from orchestration.errors import HomeError
from orchestration.output import plots
from orchestration.resources import Assay
from orchestration.settings import load_settings
from orchestration.tuning.budget import level_of, seconds_of
from orchestration.tuning.study import one_study_at_a_time, tune_home


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_a_budget_is_a_duration(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "ten", "10d", "-5m", "0"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(HomeError, match="such as 90s, 10m or 1h"):
        seconds_of(text)


def test_an_unknown_scope_is_refused() -> None:
    assert level_of("pooled") == "pooled"
    with pytest.raises(HomeError, match="pooled, collections or all"):
        level_of("everything")


def test_a_second_study_of_a_home_is_refused_and_the_next_one_let_in(tmp_path: Path) -> None:
    with (
        one_study_at_a_time(tmp_path),
        pytest.raises(HomeError, match="being tuned by another process"),
        one_study_at_a_time(tmp_path),
    ):
        pass
    with one_study_at_a_time(tmp_path):
        pass


def test_a_home_without_features_gets_the_command_that_makes_them(tmp_path: Path) -> None:
    assay = Assay(load_settings(home=tmp_path))
    with pytest.raises(HomeError, match="`assay run` makes them"):
        tune_home(assay, run_id="test", level="pooled", seconds=10.0)


@pytest.mark.parametrize(
    "trials", [[], [(0, None, "failed")], [(0, 0.2, "complete"), (1, 0.3, "pruned"), (2, 0.1, "complete")]]
)
def test_every_study_has_a_picture_also_an_empty_one(trials: list[tuple[int, float | None, str]]) -> None:
    shown = plots.study_plot("market ethereum", trials, {"depth": 0.7, "rsm": 0.3} if trials else {})
    assert shown.md_str is not None
    assert base64.b64decode(shown.md_str.split("base64,")[1].rstrip(")")).startswith(b"\x89PNG")
