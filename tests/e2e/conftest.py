"""Shared by the drills: where the markets before the fault lie, each built once for the whole session."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def markets(tmp_path_factory):
    """One folder for all workers of a session."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "drill-markets"
