"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration.settings import SettingsError

Home = Annotated[Path | None, typer.Option(help="Folder of everything Assay keeps [ASSAY_HOME].")]
Source = Annotated[
    str | None, typer.Option(help="Where market data come from: simulator, files or ethereum [ASSAY_SOURCE].")
]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder of CSV, TSV, JSON or Parquet files [ASSAY_DATA_DIR].")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]


def pair(option: str, form: str, text: str) -> tuple[str, str]:
    """The two sides of an option that is given as `one=other`.

    Raises:
        SettingsError: A side is missing.
    """
    one, equals, other = text.partition("=")
    if not (one and equals and other):
        raise SettingsError(f"{option} expects {form}, found {text!r}")
    return one, other
