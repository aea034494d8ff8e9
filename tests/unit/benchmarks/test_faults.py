"""Each fault that is measured is found by the command that should, and a whole home has none."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.faults import FAULTS, is_found
from tests.command import assay
from tests.homes import small_market

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.found_by], ids=lambda fault: fault.what)
def test_a_fault_is_found_and_named(tmp_path_factory, tmp_path, fault):
    home = shutil.copytree(small_market(tmp_path_factory)[0], tmp_path / "home")
    file = fault.harm(home)
    done = assay(*fault.found_by, "--home", str(home))
    assert is_found(fault, file, done.returncode, done.stdout + done.stderr), done.stdout + done.stderr


@pytest.mark.parametrize("command", sorted({fault.found_by for fault in FAULTS if fault.found_by}))
def test_nothing_is_found_on_a_whole_home(tmp_path_factory, tmp_path, command):
    home = shutil.copytree(small_market(tmp_path_factory)[0], tmp_path / "home")
    done = assay(*command, "--home", str(home))
    assert not any(
        is_found(fault, "x.parquet", done.returncode, done.stdout + done.stderr) for fault in FAULTS
    )
    assert done.returncode == 0, done.stdout + done.stderr
