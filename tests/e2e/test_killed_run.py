"""kill -9 at any moment, then two runs at once: the same tables as an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from tests.homes import FEWER_FITS, SMALL, small_market
from tests.lake_content import content, differences

ASSAY = str(Path(sys.executable).parent / "assay")

pytestmark = pytest.mark.slow


def _start(home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [ASSAY, "run", "--json", "--home", str(home), *SMALL],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, **FEWER_FITS},
    )


def _finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()[-3000:]


def _lake(home: Path) -> Lake:
    return Lake(LakeConfig(home=home))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    home, seconds = small_market(tmp_path_factory)
    return content(_lake(home)), seconds


@pytest.mark.timeout(1500)
def test_a_run_killed_at_random_moments_and_finished_by_two_at_once_ends_in_the_same_tables(
    undisturbed, tmp_path
):
    """Killed once early and once late; both of the two that are then started find a home with a dead run's traces."""
    expected, seconds = undisturbed
    rng = random.Random(int(os.environ.get("PYTEST_KILL_SEED", "20261121")))
    kills = 0
    for share in (rng.uniform(0.2, 0.5), rng.uniform(0.5, 0.8)):
        process = _start(tmp_path)
        try:
            process.wait(timeout=share * seconds)
        except subprocess.TimeoutExpired:
            # The whole group: dbt is a child, and -9 to the parent alone would let it go on.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        process.communicate()
    first, second = _start(tmp_path), _start(tmp_path)
    _finish(first)
    _finish(second)
    assert kills, "no run was killed: the test has not tested anything"
    assert differences(expected, content(_lake(tmp_path))) == []
