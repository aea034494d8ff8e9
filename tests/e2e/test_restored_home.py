"""A finished home, backed up and restored elsewhere by the commands: the same tables, and a run goes on from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import DATA, content, differences
from tests.command import assay
from tests.homes import finished_market

pytestmark = pytest.mark.slow


def test_a_restored_home_has_the_same_tables_and_a_run_goes_on(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(finished_market(tmp_path_factory)[0], home)
    folder, target = str(tmp_path / "backups"), tmp_path / "restored"
    done = assay("backup", folder, "--home", str(home), "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    restored = assay("restore", folder, "--to", str(target), "--json")
    assert restored.returncode == 0, restored.stderr
    assert {name: json.loads(restored.stdout)[name] for name in ("backup", "files", "bytes")} == {
        name: made[name] for name in ("backup", "files", "bytes")
    }
    schemas = (*DATA, "ops", "monitoring", "truth")
    before, after = content(Lake(LakeConfig(home)), schemas), content(Lake(LakeConfig(target)), schemas)
    assert differences(before, after) == []
    assert {"market.json", "alerts.db", "mlflow.sqlite", "artifacts"} <= {
        path.name for path in target.iterdir()
    }

    went_on = assay("run", "--home", str(target), "--json")
    assert went_on.returncode == 0, went_on.stderr[-3000:]
    estimates = ("predictions", "marts", "features")
    found = differences(
        content(Lake(LakeConfig(home)), estimates), content(Lake(LakeConfig(target)), estimates)
    )
    assert found == []
    assert (target / "serving" / "current.json").exists()
    assert assay("doctor", "--home", str(target)).returncode == 0
