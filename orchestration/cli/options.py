"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Home = Annotated[Path | None, typer.Option(help="Folder of everything Assay keeps [ASSAY_HOME].")]
Source = Annotated[
    Literal["simulator", "files"] | None, typer.Option(help="Where market data come from [ASSAY_SOURCE].")
]
DataDir = Annotated[Path | None, typer.Option(help="Folder of Parquet or CSV files [ASSAY_DATA_DIR].")]
AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]
