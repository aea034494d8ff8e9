"""The process of the dashboard: `python -m serving.dashboard.process`.

Here: the options that Streamlit runs with, and ending with the process that started this one. Not here: pages (`app`).

The first line of the input is the settings; when the input ends, this process does.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from lake.child_processes import end_with_input

CONFIG_VARIABLE = "SERVING_DASHBOARD_CONFIG"
"""Environment variable by which the pages get the settings."""

WARMED = ("altair", "pandas", "serving.explainer.client", "serving.views.tokens")
"""Modules that cost a second or more, without those that ask for a running Streamlit."""

APP = Path(__file__).with_name("app.py")

_LIGHT = {
    "primaryColor": "#0f766e",
    "backgroundColor": "#fcfcfb",
    "secondaryBackgroundColor": "#f1f2ef",
    "textColor": "#1c2421",
    "borderColor": "#dfe2dd",
}
_DARK = {
    "primaryColor": "#2dd4bf",
    "backgroundColor": "#101513",
    "secondaryBackgroundColor": "#1a211e",
    "textColor": "#e7ece9",
    "borderColor": "#2c3531",
}


def options(host: str, port: int) -> dict[str, str | int | bool]:
    """Streamlit's options: local, headless, telling nobody, and the colours of both themes."""
    chosen: dict[str, str | int | bool] = {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.showEmailPrompt": False,
        "server.maxUploadSize": 1,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        # What an error of ours says stays in the log of the server.
        "client.showErrorDetails": "none",
        # Otherwise every expression of `app` is written to the page.
        "runner.magicEnabled": False,
        "logger.level": "warning",
        "logger.hideWelcomeMessage": True,
        "theme.baseRadius": "0.6rem",
    }
    for theme, colours in (("light", _LIGHT), ("dark", _DARK)):
        chosen |= {f"theme.{theme}.{name}": colour for name, colour in colours.items()}
    return chosen


def main() -> None:
    """Serve until the input ends, or until interrupted."""
    end_with_input()
    from serving.dashboard.config import DashboardConfig

    text = sys.stdin.readline()
    config = DashboardConfig.from_json(text)
    os.environ[CONFIG_VARIABLE] = text
    # Before the first page is asked for, which would wait for it.
    for name in WARMED:
        import_module(name)
    from streamlit.web.cli import main as streamlit

    chosen = options(config.host, config.port)
    flags = [
        f"--{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in chosen.items()
    ]
    sys.argv = ["streamlit", "run", str(APP), *flags]
    streamlit()


if __name__ == "__main__":
    main()
