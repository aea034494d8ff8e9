"""A published market with all that pages show, a real dashboard over it, and a real browser."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from benchmarks.browser import BROWSERS, Browser, installed_browser
from serving.dashboard.config import DashboardConfig
from serving.dashboard.server import Dashboard
from serving.explainer.source import ReasonSource
from tests.integration.dashboard.market import Home, publish_full_market


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The installed browser, headless. Its event loop belongs to the thread: it ends before the next module."""
    program = installed_browser()
    if program is None:
        # CI installs one: there a missing browser is an error of the set-up, not a reason to skip.
        assert not os.environ.get("CI"), f"expected one of {', '.join(BROWSERS)} in CI, found none"
        pytest.skip(f"no browser is installed: apt-get install {BROWSERS[0]}")
    with Browser(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Read it, do not change it."""
    return publish_full_market(tmp_path_factory.mktemp("dashboard"))


@contextmanager
def serving(folder: Path, home: Path | None = None, refuse_after_s: float = 1e12) -> Iterator[str]:
    """A dashboard over a store; gives its address."""
    from lake.config import LakeConfig

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    lake = LakeConfig(home=home or folder, threads=1, memory_limit="512MB")
    reasons = None if home is None else ReasonSource.of_home(lake)
    with Dashboard(
        DashboardConfig(folder, port=port, refuse_after_s=refuse_after_s, reasons=reasons)
    ) as running:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                if httpx.get(f"{url}/_stcore/health").status_code == 200:
                    break
            except httpx.TransportError:
                assert running.process.poll() is None
            time.sleep(0.1)
        yield url


@pytest.fixture(scope="module")
def url(home: Home) -> Iterator[str]:
    """Address of a dashboard over the full market."""
    with serving(home.store) as address:
        yield address


@pytest.fixture(scope="module")
def serve() -> Callable[..., object]:
    """A dashboard over another store."""
    return serving
