"""Starting the dashboard beside something else, and ending it with that.

Here: the process from outside. Not here: what runs in it (`process`).
"""

from __future__ import annotations

import socket
from importlib.util import find_spec
from types import TracebackType

from lake.child_processes import start_child, stop_child
from serving.dashboard.config import DashboardConfig

HOW_TO_INSTALL = "pip install 'assay[dashboard]' (or make setup)"
STOP_S = 5.0
"""Seconds a dashboard has to end by itself."""


class DashboardError(RuntimeError):
    """The dashboard cannot be started; the message says why and what to do."""


class Dashboard:
    """A dashboard in a process of its own, for as long as the `with` block lasts.

    It ends with this process however that ends. So one Ctrl-C ends both.

    Args:
        config: Settings.

    Raises:
        DashboardError: Streamlit is not installed, or the port is taken.
    """

    def __init__(self, config: DashboardConfig) -> None:
        if find_spec("streamlit") is None:
            raise DashboardError(
                f"expected Streamlit for the dashboard, found none installed; {HOW_TO_INSTALL} installs it"
            )
        self._config = config
        try:
            with socket.create_server((config.host, config.port)):
                pass
        except OSError as error:
            raise DashboardError(
                f"expected port {config.port} of {config.host} to be free for the dashboard, found that it is not "
                f"({error.strerror}); choose another with --dashboard-port"
            ) from error

    def __enter__(self) -> Dashboard:
        """Start it; it answers a second or two later."""
        self.process = start_child("serving.dashboard.process")
        assert self.process.stdin is not None
        # By its input, not as an argument: the address of a catalog may hold a password.
        self.process.stdin.write(self._config.to_json().encode() + b"\n")
        self.process.stdin.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        stop_child(self.process, STOP_S)
