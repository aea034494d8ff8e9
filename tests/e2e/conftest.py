"""Shared by the drills: the market before the fault, built once for the whole session."""

from __future__ import annotations

import os

import pytest
from filelock import FileLock

from orchestration.drills.market import build_market


@pytest.fixture(scope="session")
def market(tmp_path_factory):
    """The market before the fault; workers of one session share it."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with FileLock(folder / "drill-market.lock"):
        return build_market(folder / "drill-market")
