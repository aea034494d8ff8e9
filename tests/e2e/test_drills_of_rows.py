"""Drills in which rows are wrong, and one from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.drills.catalogue import drill_of
from tests.e2e.drilling import ROWS, assert_held

ASSAY = str(Path(sys.executable).parent / "assay")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_are_wrong_are_noticed_told_once_acted_upon_and_over(name, markets, tmp_path):
    assert_held(drill_of(name), markets, tmp_path / "home")


def test_a_drill_from_the_command_line_tells_machines_the_timeline(markets):
    done = subprocess.run(
        [ASSAY, "drill", "duplicates", "--json", "--market", str(markets)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (told,) = json.loads(done.stdout)
    assert told["passed"]
    assert [moment["step"] for moment in told["moments"]][:2] == ["injected", "detected"]
    assert not Path(told["home"]).exists()
