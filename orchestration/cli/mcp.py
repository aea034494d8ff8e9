"""`assay mcp`: the published store for assistants, over standard input and output.

Here: the option, and handing the store on. Not here: the tools (`serving.mcp`).
"""

from __future__ import annotations

from orchestration.cli.options import Home
from orchestration.output.terminal import complain
from orchestration.settings import SettingsError, load_settings


def mcp(home: Home = None) -> None:
    """Answer an assistant (MCP over standard input and output) from the published estimates; started by its client.

    Exit codes: 0 the client has gone · 2 no home, or the package is missing.
    """
    settings = load_settings(home=home)
    from orchestration.home import existing_home

    existing_home(settings)
    from orchestration.cli.serve import api_config
    from serving.explainer.client import Explainer

    try:
        from serving.mcp.server import build_server
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "mcp":
            raise
        raise SettingsError(
            "expected the package mcp, found it missing; `make setup` or `pip install 'assay[mcp]'` installs it"
        ) from error
    from serving.mcp.tools import Tools
    from serving.store.location import StoreAddressError, open_store

    config = api_config(settings)
    try:
        store = open_store(config.store, config.refuse_after_s)
    except StoreAddressError as error:
        raise SettingsError(str(error)) from error
    # Standard output is the protocol's alone.
    complain(f"Assay MCP server · home {settings.home_path} · waits for its client on standard input")
    explainer = None if config.reasons is None else Explainer(config.reasons, patience_s=50.0)
    build_server(Tools(store, explainer)).run()
