"""`assay ui`: the options. Not here: the processes (`orchestration.cli.ui`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.options import DataDir, Home, Source
from orchestration.settings import SettingsError, load_settings


def ui(
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the web server.")] = 3000,
    host: Annotated[
        str, typer.Option(help="Address to bind; the server has no authentication.")
    ] = "127.0.0.1",
    read_only: Annotated[bool, typer.Option(help="Show only; request no run.")] = False,
    part: Annotated[
        str | None, typer.Option(help="Only this process: code-server, web-server or daemon; with --socket.")
    ] = None,
    socket: Annotated[
        Path | None, typer.Option(help="Socket by which the parts find each other, in a folder they share.")
    ] = None,
) -> None:
    """Start the Dagster UI and its daemon on the same state."""
    settings = load_settings(home=home, source=source, data_dir=data_dir)
    if (part is None) != (socket is None):
        raise SettingsError("expected --part and --socket together or neither, found one of them")
    from orchestration.cli.ui import Part, serve

    if part is not None and part not in tuple(Part):
        raise SettingsError(f"--part: expected {', '.join(Part)}, found {part!r}")
    parts = tuple(Part) if part is None else (Part(part),)
    path = None if socket is None else socket.expanduser().absolute()
    raise typer.Exit(serve(settings, host=host, port=port, read_only=read_only, parts=parts, socket=path))
