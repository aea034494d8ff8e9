"""kill -9 at any moment, then two runs at once: the same tables as on a home that was not disturbed."""

from __future__ import annotations

import os
import random
import shutil

import pytest

from benchmarks.killed_steps import kill_and_compare
from benchmarks.steps import SMALL
from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import content, differences
from orchestration.backup.folder import BackupFolder
from orchestration.backup.restoring import restore
from tests.homes import small_market

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1500)
def test_steps_killed_at_random_moments_and_a_run_finished_by_two_at_once_end_in_the_same_tables(
    tmp_path_factory, tmp_path
):
    shutil.copytree(small_market(tmp_path_factory)[0], tmp_path / "home")
    rng = random.Random(int(os.environ.get("PYTEST_KILL_SEED", "20261121")))
    plan = {"run": 5, "maintain": 2, "backup": 5}
    outcome = kill_and_compare(SMALL, tmp_path, plan, rng, at_once=2)
    assert outcome.failed == []
    assert outcome.differing == []
    assert set(outcome.killed) == set(plan), "a step was never killed: the test has not tested it"

    restored = restore(BackupFolder(tmp_path / "home-backup"), tmp_path / "restored")
    assert not restored.missing
    kept, back = (content(Lake(LakeConfig(tmp_path / name)), copied=True) for name in ("home", "restored"))
    assert differences(kept, back) == []
