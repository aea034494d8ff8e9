"""`assay ui`: the options. Not here: the processes (`orchestration.cli.ui`)."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.options import DataDir, Home, Source
from orchestration.settings import load_settings


def ui(
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the web server.")] = 3000,
    host: Annotated[
        str, typer.Option(help="Address to bind; the server has no authentication.")
    ] = "127.0.0.1",
    read_only: Annotated[bool, typer.Option(help="Show only; request no run.")] = False,
) -> None:
    """Start the Dagster UI and its daemon on the same state."""
    settings = load_settings(home=home, source=source, data_dir=data_dir)
    from orchestration.cli.ui import serve

    raise typer.Exit(serve(settings, host=host, port=port, read_only=read_only))
