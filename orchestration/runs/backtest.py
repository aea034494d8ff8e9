"""Running a backtest: the home brought up to date, the walk, the ledger file.

Here: the order, the lock, and writing the file in one step. Not here: walking (`ml.backtest.backtest`), ingesting and
building (`orchestration.runs.main_job`), options (`orchestration.cli.backtest`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.collection_names import resolve_collections
from orchestration.errors import HomeError, StageFailedError
from orchestration.runs.job_runner import home_runner

if TYPE_CHECKING:
    import dagster as dg
    import pyarrow as pa

    from ml.backtest.backtest import BacktestConfig
    from orchestration.code_location import CodeLocation
    from orchestration.resources import Assay

FOLDER = "backtest"
"""Folder of the home that keeps finished refit periods; it may be removed at any time between two backtests."""


@dataclass(frozen=True)
class BacktestRequest:
    """What is asked.

    Attributes:
        start: Start of the window, UTC without a zone.
        end: End of the window; what became known from here on is ignored.
        refit_days: Days between refits.
        collections: Whose sales are priced; all when empty. Priors learn from all collections either way.
        out: Where the ledger goes.
    """

    start: datetime
    end: datetime
    refit_days: float
    collections: Sequence[str]
    out: Path


def run_backtest(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    request: BacktestRequest,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Bring the home up to date until the window's end, walk forward through the window, write the ledger.

    Killed and run again it continues: ingested days, built tables and finished refit periods stay.

    Args:
        location: The home and its jobs; its `as_of` is the end of the window.
        instance: The Dagster instance of the home.
        request: Which backtest.
        say: Called with progress messages.

    Returns:
        The ledger's path.

    Raises:
        HomeError: the home is taken for too long or another market's, an unknown collection, an empty window.
        StageFailedError: a step or too many local fits failed.
        ClusterError: the cluster for the fits was not found or was lost.
    """
    from ml.backtest.backtest import EmptyWindowError, Window, backtest
    from ml.backtest.local import TooManyFailuresError
    from orchestration.compute import compute_backend
    from orchestration.runs.main_job import ingest_and_build

    assay = location.assay
    with home_runner(location, instance, say) as runner:
        ingest_and_build(runner, say)
        with assay.lake.read() as con:
            chosen = resolve_collections(con, request.collections)
        window = Window(request.start, request.end, tuple(sorted(chosen)) or None)
        config = _config(assay, request.refit_days)
        with assay.lake.read(assay.lake.snapshot_id()) as con:
            try:
                table = backtest(
                    con,
                    assay.settings.home_path / FOLDER,
                    window,
                    config,
                    say=say,
                    backend=compute_backend(assay.settings),
                )
            except EmptyWindowError as error:
                raise HomeError(str(error)) from error
            except TooManyFailuresError as error:
                raise StageFailedError(str(error)) from error
            _write(con.execute(f"select * from {table}").to_arrow_table(), request.out)
    return request.out


def _config(assay: Assay, refit_days: float) -> BacktestConfig:
    """The settings of production, for past times."""
    from ml.backtest.backtest import BacktestConfig
    from orchestration.models.assets import pooled_config, training_config

    config = BacktestConfig(
        refit_days=refit_days, pooled=pooled_config(assay), candidate=training_config(assay).candidate
    )
    return replace(config, scoring=replace(config.scoring, threads=assay.settings.threads))


def _write(ledger: pa.Table, out: Path) -> None:
    """Write the ledger in one step: a reader sees the old file or the new one."""
    import pyarrow.parquet as pq

    from ml.ledger.ledger import LEDGER_SCHEMA

    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        pq.write_table(ledger.cast(LEDGER_SCHEMA), temporary)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
