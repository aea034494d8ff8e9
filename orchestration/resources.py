"""A home, opened: the lake, the sources, the model store.

Here: opening what the settings name, without Dagster, so that a command which only reads starts without it. Not here:
reading the environment (`orchestration.settings`), the resource of assets (`orchestration.conventions`).
"""

from __future__ import annotations

import os
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lake.config import LakeConfig
from lake.connection import Lake
from orchestration.clock import WALL_CLOCK, Clock
from orchestration.settings import Settings

if TYPE_CHECKING:
    from ml.registry.artifacts import ArtifactStore
    from ml.registry.champions import ChampionRegistry
    from sources.configuration import SourceConfig
    from sources.several import Sources

DBT_PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"


class Assay:
    """The home of this code location: its settings, and the parts they name, opened when first asked for.

    A plain object rather than a ConfigurableResource: settings may hold database passwords, which must not
    show as resource configuration in the UI.
    """

    def __init__(self, settings: Settings, clock: Clock = WALL_CLOCK) -> None:
        """Keep the settings and the clock; nothing is opened yet."""
        self.settings = settings
        self.clock = clock

    @property
    def lake(self) -> Lake:
        """The lake of the home, with every table in place."""
        return open_lake(self.settings)

    @property
    def sources(self) -> Sources:
        """The sources of market data. Opened once per process: the simulator caches its market."""
        return open_sources(self.settings.source_configs, self.settings.home_path)

    @property
    def registry(self) -> ChampionRegistry:
        """Champions and their artefacts."""
        return open_registry(self.settings)

    @property
    def as_of(self) -> datetime:
        """Nothing known at or after this time is ingested: the watermark, or the setting `as_of` if earlier."""
        watermark = self.sources.watermark()
        if self.sources.problems:
            # What a source has delivered before stays known while it cannot be read.
            with self.lake.read() as con:
                row = con.execute(
                    "select max(watermark) from ops.sources where list_contains($names, name)",
                    {"names": list(self.sources.problems)},
                ).fetchone()
            watermark = max(watermark, row[0]) if row and row[0] is not None else watermark
        as_of = self.settings.as_of
        return watermark if as_of is None else min(as_of, watermark)

    @property
    def delivered_until(self) -> datetime:
        """What the sources have delivered was known before this time; `as_of` as long as they have delivered nothing.

        For sensors: the code server lives for weeks and opens its sources once, so `as_of` would stay at that time.
        """
        with self.lake.read() as con:
            row = con.execute("select max(watermark) from ops.sources").fetchone()
        if row is None or row[0] is None:
            return self.as_of
        delivered: datetime = row[0]
        as_of = self.settings.as_of
        return delivered if as_of is None else min(as_of, delivered)


def open_lake(settings: Settings) -> Lake:
    """The lake, with every declared table in place; one per process and place.

    A home of an earlier version is migrated when it is first used.
    """
    return _open_lake(settings.lake_config())


@lru_cache(maxsize=8)
def _open_lake(config: LakeConfig) -> Lake:
    from ml.tables.registry import TABLES

    return Lake(config, TABLES)


@lru_cache(maxsize=2)
def open_sources(configs: tuple[SourceConfig, ...], home: Path) -> Sources:
    """The sources of a home."""
    from sources.several import Sources

    return Sources(configs, home)


@lru_cache(maxsize=2)
def open_registry(settings: Settings) -> ChampionRegistry:
    """The MLflow-backed champion registry and its artefact store."""
    from ml.registry.champions import ChampionRegistry

    given = settings.mlflow_url.get_secret_value() if settings.mlflow_url else ""
    url = _registry_address(given) or f"sqlite:///{settings.home_path / 'mlflow.sqlite'}"
    return ChampionRegistry(url, open_artifacts(settings))


def open_artifacts(settings: Settings) -> ArtifactStore:
    """The files of models: in the home, or where a setting says."""
    from ml.registry.artifacts import ArtifactStore

    return ArtifactStore(settings.model_files(settings.home_path))


def _registry_address(url: str) -> str:
    """The address without the user and password of an HTTP server, which MLflow repeats in its messages.

    MLflow takes those from its own variables too, and then sends them as a header.
    """
    scheme, separator, rest = url.partition("://")
    userinfo, at, address = rest.rpartition("@")
    if not at or scheme.lower() not in ("http", "https"):
        return url
    user, _, password = userinfo.partition(":")
    os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = (
        unquote(user),
        unquote(password),
    )
    return f"{scheme}{separator}{address}"
