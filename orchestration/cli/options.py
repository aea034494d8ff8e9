"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[Path | None, typer.Option(help="Folder of everything Assay keeps [ASSAY_HOME].")]
Source = Annotated[
    str | None, typer.Option(help="Where market data come from: simulator, files or ethereum [ASSAY_SOURCE].")
]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder of CSV, TSV, JSON or Parquet files [ASSAY_DATA_DIR].")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]
