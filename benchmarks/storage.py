"""One market twice: in an embedded home, and in the databases and the bucket that the environment names.

    npx s3rver -d FOLDER -p 4568 --configure-bucket market &
    export ASSAY_S3_ENDPOINT=http://127.0.0.1:4568 ASSAY_S3_PATH_STYLE=true
    export ASSAY_S3_ACCESS_KEY_ID=S3RVER ASSAY_S3_SECRET_ACCESS_KEY=S3RVER
    export ASSAY_DATA_PATH=s3://market/lake ASSAY_MODELS_PATH=s3://market/models
    export ASSAY_CATALOG_URL=postgresql://USER@HOST/lake ASSAY_MLFLOW_URL=postgresql://USER@HOST/mlflow
    export ASSAY_DAGSTER_URL=postgresql://USER@HOST/dagster ASSAY_SERVING_STORE=postgresql://USER@HOST/serving
    python -m benchmarks.storage --collections 3000

Any server of S3 will do; moto reads a whole object for each range that is asked for, which makes large lakes slow.
Both runs are cold, one after the other on the same machine; the database and the bucket must be empty. Prints the
stages of both, the ratio, and the tables that differ.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.capacity import measured
from benchmarks.machine import describe_machine
from benchmarks.runs import assay_run
from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import content, differences

ELSEWHERE = (
    "ASSAY_CATALOG_URL",
    "ASSAY_DATA_PATH",
    "ASSAY_MODELS_PATH",
    "ASSAY_SERVING_STORE",
    "ASSAY_DAGSTER_URL",
    "ASSAY_MLFLOW_URL",
)
"""What puts a part of the home elsewhere; the embedded run does without them."""


def main(
    collections: Annotated[int, typer.Option(help="Simulated collections.")] = 300,
    days: Annotated[int, typer.Option(help="Days of history.")] = 365,
) -> None:
    """Print one JSON document."""
    elsewhere = sorted(name for name in ELSEWHERE if os.environ.get(name))
    if not elsewhere:
        raise SystemExit(f"expected one of {', '.join(ELSEWHERE)} in the environment, found none")
    market = ("--collections", str(collections), "--days", str(days))
    embedded_env = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    with tempfile.TemporaryDirectory(prefix="assay-storage-") as scratch:
        embedded_home, home = Path(scratch) / "embedded", Path(scratch) / "elsewhere"
        embedded = assay_run(embedded_home, *market, env=embedded_env)
        other = assay_run(home, *market)
        differing = differences(content(Lake(LakeConfig(embedded_home))), content(_lake(home)))
    report = {
        "collections": collections,
        "sales": other.report["sales"],
        "elsewhere": elsewhere,
        "embedded": measured(embedded),
        "measured": measured(other),
        "ratio": round(other.elapsed_s / embedded.elapsed_s, 2),
        "ratio_of_cpu": round(other.cpu_s / embedded.cpu_s, 2),
        "tables_that_differ": [str(one) for one in differing],
        "machine": describe_machine(),
    }
    print(json.dumps(report, indent=2))


def _lake(home: Path) -> Lake:
    from orchestration.resources import Assay
    from orchestration.settings import load_settings

    return Assay(load_settings(home=home)).lake


if __name__ == "__main__":
    typer.run(main)
