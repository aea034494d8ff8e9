"""What assets are given to work with: the lake, the source, the model store, dbt.

Here: Dagster resources that open what the settings name. Not here: reading the environment (`settings.py`).
"""

from __future__ import annotations

import os
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster_dbt import DbtCliResource
from pydantic import PrivateAttr

from lake.connection import Lake, ensure_tables
from orchestration.settings import Settings

if TYPE_CHECKING:
    from ml.registry.champions import ChampionRegistry
    from sources.protocol import Source

DBT_PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"


class AssayResource(dg.ConfigurableResource):
    """The home of this code location: its settings, and the parts they name, opened when first asked for."""

    _settings: Settings = PrivateAttr()

    @classmethod
    def of(cls, settings: Settings) -> AssayResource:
        """The resource for these settings."""
        resource = cls()
        resource._settings = settings
        return resource

    @property
    def settings(self) -> Settings:
        """The settings the code location was loaded with."""
        return self._settings

    @property
    def lake(self) -> Lake:
        """The lake of the home, with every raw table in place."""
        return open_lake(self._settings)

    @property
    def source(self) -> Source:
        """The market data source. One object per process: the simulator remembers the market it has generated."""
        return open_market(self._settings)

    @property
    def registry(self) -> ChampionRegistry:
        """Champions and their artefacts."""
        return open_registry(self._settings)

    @property
    def append_only(self) -> bool:
        """Whether the source never changes a day it has told. A user's files may be corrected at any time."""
        return self._settings.source == "simulator"

    @property
    def horizon(self) -> datetime:
        """Nothing known at or after this instant is ingested: the source's watermark, or `as_of` if earlier."""
        watermark = self.source.watermark()
        as_of = self._settings.as_of
        return watermark if as_of is None else min(as_of, watermark)


@lru_cache(maxsize=8)
def open_lake(settings: Settings) -> Lake:
    """The lake, with schemas and raw tables created when missing."""
    from orchestration.ingestion import INGEST_LOG_SCHEMA
    from sources.contract import QUARANTINE, RAW_TABLES, TRUTH_TABLES

    lake = Lake(settings.lake_config())
    schemas = {
        **{f"raw.{name}": table.schema for name, table in RAW_TABLES.items()},
        "raw.quarantine": QUARANTINE.schema,
        **{f"truth.{name}": table.schema for name, table in TRUTH_TABLES.items()},
        "ops.ingest_log": INGEST_LOG_SCHEMA,
    }
    with lake.write("create the raw tables") as con:
        ensure_tables(con, schemas)
    return lake


@lru_cache(maxsize=2)
def open_market(settings: Settings) -> Source:
    """The source the settings name."""
    from sources.registry import open_source

    if settings.source == "files":
        return open_source("files", directory=settings.data_dir)
    return open_source(
        "simulator",
        collections=settings.collections,
        days=settings.days,
        seed=settings.seed,
        faults=[fault for fault in settings.faults.split(",") if fault],
        cache_dir=settings.home_path / "simulator",
    )


@lru_cache(maxsize=2)
def open_registry(settings: Settings) -> ChampionRegistry:
    """The MLflow-backed champion registry and its artefact store."""
    from ml.registry.artifacts import ArtifactStore
    from ml.registry.champions import ChampionRegistry

    url = settings.mlflow_url or f"sqlite:///{settings.home_path / 'mlflow.sqlite'}"
    return ChampionRegistry(url, ArtifactStore(settings.home_path / "artifacts"))


def dbt_resource(settings: Settings) -> DbtCliResource:
    """dbt on this home's lake; target and logs live in the home so that homes do not share state."""
    from lake.dbt import dbt_environment

    target = settings.home_path / "dbt"
    os.environ.update(dbt_environment(settings.lake_config()))
    os.environ.update({"DBT_TARGET_PATH": str(target / "target"), "DBT_LOG_PATH": str(target / "logs")})
    return DbtCliResource(project_dir=str(DBT_PROJECT), profiles_dir=str(DBT_PROJECT))
