"""What a user can set: every `ASSAY_*` environment variable, its type, its bounds and its default.

Here: reading and checking the environment, once, at start. Not here: opening what the settings name
(`orchestration.resources`). A wrong or misspelt variable stops the program before anything is touched, and the
message says what is allowed.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsConfigDict

from lake.config import LakeConfig
from lake.postgres import PostgresAddress
from orchestration.clock import naive_utc
from orchestration.compute_settings import ComputeSettings
from orchestration.output.masking import learn_secret
from orchestration.output.setting_errors import explain, option_of_another_kind, unknown_variable
from orchestration.remembered import remembered_by_home
from orchestration.storage_settings import StorageSettings
from sources.protocol import SourceError

if TYPE_CHECKING:
    from sources.configuration import SourceConfig

PREFIX = "ASSAY_"
# Read by the test suite, to find the real market data and the packages of a node; the latter by `assay demo`, too.
TEST_VARIABLES = frozenset({"ASSAY_TEST_DATA", "ASSAY_TEST_CHAIN"})

DEFAULT_HOME = ".assay"
"""Home of several sources, unless the user names one."""
SOURCES_FILE = "sources.yaml"
"""In a home: the sources that `assay sources` has put there."""

# Settings that describe the only source of a home; a file of sources replaces them.
_ONE_SOURCE = ("source", "data_dir", "contracts", "start", "collections", "days", "seed", "faults")


class SettingsError(ValueError):
    """A setting has a value that is not allowed; the message lists every one of them."""


class Settings(StorageSettings, ComputeSettings):
    """The settings of one Assay home. Field descriptions are the reference that `assay settings` prints.

    What holds credentials is a `SecretStr`: neither a text of the settings nor an error about them shows it.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    home: Path | None = Field(
        None,
        description="folder of everything Assay keeps; default .assay (simulator) or .assay-files (files)",
    )
    sources: Path | None = Field(
        None, description="YAML file that lists several sources (docs/how-to/several-sources.md)"
    )
    source: str = Field(
        "simulator", description="the only source of market data: simulator, files or ethereum"
    )
    data_dir: Path | None = Field(
        None, description="folder of CSV, TSV, JSON or Parquet files, for source=files"
    )
    rpc_urls: SecretStr | None = Field(
        None,
        description="comma-separated addresses of Ethereum nodes, the preferred first, for source=ethereum",
    )
    contracts: str | None = Field(
        None, description="comma-separated addresses of the watched contracts, for source=ethereum"
    )
    start: str | None = Field(
        None, description="first day (ISO 8601) or block that is read, for source=ethereum"
    )
    collections: int = Field(60, ge=1, le=10_000, description="simulator: number of collections")
    days: int = Field(365, ge=1, le=3_650, description="simulator: days of history")
    seed: int = Field(7, ge=0, description="simulator: seed of the market")
    faults: str = Field(
        "",
        description="simulator: comma-separated faults, each name@day or name@day:magnitude, e.g. crash@300",
    )
    as_of: datetime | None = Field(
        None, description="value tokens as of this UTC time and ignore what became known later (ISO 8601)"
    )
    threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="worker threads for fits and SQL",
    )
    memory_limit: str = Field(
        "4GB", pattern=r"^\d+(\.\d+)?(MB|GB)$", description="memory DuckDB may use, e.g. 4GB or 512MB"
    )
    lock_timeout_s: float = Field(
        1800, ge=0, description="seconds to wait for another process that is writing the same home"
    )
    refits: int = Field(
        6, ge=1, le=60, description="walk-forward refits of the pooled model over the history"
    )
    fit_time_limit_s: float = Field(60, gt=0, description="seconds one collection's fit may take")
    failure_budget: float = Field(
        0.05, ge=0, le=1, description="share of collections that may fail before a training run fails"
    )
    alert_urls: SecretStr = Field(
        SecretStr(""),
        description="comma-separated Apprise URLs that get alerts, in addition to the log file of the home",
    )
    deadman_url: SecretStr | None = Field(
        None,
        description="URL that assay watchdog calls when all is well; the service alarms when the calls stop",
    )
    alert_reminder_page_h: float = Field(4, gt=0, description="hours after which an open page is sent again")
    alert_reminder_ticket_h: float = Field(
        24, gt=0, description="hours after which an open ticket is sent again"
    )
    tuning_budget_s: float = Field(
        600, ge=10, description="seconds one tuning run may take, all its studies and comparisons together"
    )
    acting: bool = Field(
        True, description="let Assay train out of turn and put models back by itself; false: it only alerts"
    )
    retrain_daily_budget: int = Field(
        600, ge=0, description="collections that may be trained out of turn in one day of `as_of`"
    )
    retrain_cap: int = Field(300, ge=1, description="collections of one such training run")
    retrain_cooldown_h: float = Field(
        72, ge=0, description="hours of `as_of` before a collection is trained out of turn again"
    )
    publish_reasons: int = Field(
        0, ge=0, description="most valuable collections, whose best tokens are published with reasons"
    )
    publish_asked: int = Field(
        20, ge=0, le=1_000, description="tokens asked for most, which are published with reasons"
    )
    serving_store: SecretStr | None = Field(
        None, description="PostgreSQL URL of the published store; default: files under the home"
    )
    api_host: str = Field("127.0.0.1", description="address that assay serve binds")
    api_port: int = Field(8000, ge=1, le=65_535, description="port that assay serve binds")
    api_workers: int = Field(1, ge=1, le=64, description="processes of assay serve that answer")
    api_anonymous: bool = Field(
        True, description="let everybody read without a key, within a limit of their own"
    )
    api_key_limit: str = Field(
        "6000/minute", description="requests of one API key, e.g. 100/second; empty: unlimited"
    )
    api_anonymous_limit: str = Field(
        "600/minute", description="requests of one address without a key; empty: unlimited"
    )
    api_limits_url: SecretStr | None = Field(
        None, description="where several processes count requests together (redis://…); default each its own"
    )
    api_cors_origins: str = Field(
        "", description="comma-separated origins of web pages that may read the API; * for all"
    )
    api_explain: bool = Field(
        True, description="let the API compute reasons that are not published, when they are asked for"
    )
    api_refuse_after_h: float = Field(
        720, gt=0, description="hours of age beyond which the API answers nothing rather than old values"
    )
    api_expected: bool = Field(
        False,
        description="judge the API as down also after it was stopped; otherwise only after it has crashed",
    )
    dashboard_host: str = Field("127.0.0.1", description="address that the dashboard binds")
    dashboard_port: int = Field(8501, ge=1, le=65_535, description="port that the dashboard binds")
    enable_schedules: bool = Field(False, description="turn on all schedules and sensors")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "CRITICAL",
        description="least level of Dagster's own log lines on the terminal; progress is shown anyway",
    )

    @field_validator("as_of")
    @classmethod
    def _naive_utc(cls, value: datetime | None) -> datetime | None:
        return None if value is None else naive_utc(value)

    @field_validator("catalog_url", "serving_store", "dagster_url")
    @classmethod
    def _address_is_postgres(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        name = str(info.field_name)
        whose = {
            "catalog_url": "lake's catalog",
            "serving_store": "published store's",
            "dagster_url": "run history's",
        }
        if value is not None:
            PostgresAddress.of(
                value.get_secret_value(), f"The {whose[name]} address", f"{PREFIX}{name}".upper()
            )
        return value

    @field_validator("deadman_url")
    @classmethod
    def _deadman_is_http(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("expected a URL that starts with https:// or http://")
        return value

    @model_validator(mode="after")
    def _sources_are_possible(self) -> Settings:
        """Fails early when the sources cannot be configured like this."""
        if self.sources is not None and (given := sorted(self.model_fields_set & set(_ONE_SOURCE))):
            raise ValueError(
                f"sources lists every source in a file: leave out {', '.join(given)}, or change the sources of a home "
                "with `assay sources add` and `assay sources remove`"
            )
        from sources.configuration import SourceSettingError

        try:
            _ = self.source_configs
        except SourceSettingError as error:
            about = type(self).model_fields[error.setting].description
            raise ValueError(f"{PREFIX}{error.setting.upper()}: {error} — {about}") from None
        except SourceError as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _secrets_are_masked(self) -> Settings:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                learn_secret(value.get_secret_value())
        return self

    @property
    def home_path(self) -> Path:
        """The home, absolute."""
        default = DEFAULT_HOME if self.sources is not None else self.source_configs[0].home
        return (self.home or Path(default)).expanduser().resolve()

    @property
    def source_configs(self) -> tuple[SourceConfig, ...]:
        """The configured sources: those that `sources` lists, or the only one that the other settings describe.

        Raises:
            sources.protocol.SourceError: One of them is impossible.
        """
        from sources.configuration import config_of, read_sources

        if self.sources is not None:
            return read_sources(self.sources.expanduser().resolve())
        given = {name: getattr(self, name) for name in _ONE_SOURCE[1:]}
        return (config_of(self.source, given, name=self.source),)

    @property
    def market(self) -> dict[str, str | int]:
        """What fixes the identity of the data in a home: a home refuses another market."""
        if self.sources is not None:
            return {"sources": self._sources_as_kept()}
        return {"source": self.source, **self.source_configs[0].identity}

    @property
    def remembered(self) -> dict[str, str | int]:
        """What a home keeps of its settings, so that later commands on it need only its name."""
        if self.sources is not None:
            return self.market
        return {"source": self.source, **self.source_configs[0].options}

    @property
    def described_sources(self) -> str:
        """The sources for people: `simulator market`, `sources dune, chain`."""
        names = ", ".join(config.name for config in self.source_configs)
        return f"sources {names}" if self.sources is not None else f"{names} market"

    def _sources_as_kept(self) -> str:
        """The file of sources; one inside the home by its name, so that the home can be moved."""
        assert self.sources is not None
        path = self.sources.expanduser().resolve()
        return path.name if self.home is not None and path.parent == self.home_path else str(path)

    def lake_config(self) -> LakeConfig:
        """The lake of this home."""
        return LakeConfig(
            home=self.home_path,
            catalog_url=None if self.catalog_url is None else self.catalog_url.get_secret_value(),
            data_path=self.data_path,
            memory_limit=self.memory_limit,
            threads=self.threads,
            lock_timeout_s=self.lock_timeout_s,
            object_store=self.object_store(self.data_path),
        )

    def as_environment(self) -> dict[str, str]:
        """The settings as `ASSAY_*` variables, so that a child process (the UI, dbt) sees the same ones."""
        of_one_source = set(_ONE_SOURCE) if self.sources is not None else set()
        values = self.model_dump(exclude_none=True, exclude=of_one_source)
        values["home"] = self.home_path
        for name, value in values.items():
            if isinstance(value, Path):
                values[name] = value.expanduser().resolve()
        return {PREFIX + name.upper(): as_text(value) for name, value in values.items()}


def load_settings(**overrides: object) -> Settings:
    """Read `ASSAY_*`, let the given values (a command line's options; None = not given) win, and check everything.

    What neither sets is taken from the home, if it exists already: the market it was made for.

    Raises:
        SettingsError: naming each bad variable, the value found and what is allowed.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | TEST_VARIABLES
    if unknown := unknown_variable(PREFIX, known, TEST_VARIABLES):
        raise SettingsError(unknown)
    given = {name: value for name, value in overrides.items() if value is not None}
    remembered = remembered_by_home(given, PREFIX)
    try:
        settings = Settings(**{**remembered, **given})  # type: ignore[arg-type]
    except ValidationError as error:
        about = {name: field.description or "" for name, field in Settings.model_fields.items()}
        # Not chained: pydantic's error still holds the values that it does not show.
        raise SettingsError(explain(error, PREFIX, about)) from None
    if settings.sources is None and (wrong := option_of_another_kind(settings.source, given)):
        raise SettingsError(wrong)
    return settings


def setting_fields() -> list[tuple[str, FieldInfo]]:
    """Every setting by name, in the order of the class; places other than the home last."""
    elsewhere = StorageSettings.model_fields
    return sorted(Settings.model_fields.items(), key=lambda item: item[0] in elsewhere)


def describe_settings() -> list[tuple[str, str, str]]:
    """(variable, default, description) of every setting."""
    rows = []
    for name, field in setting_fields():
        default = "" if field.is_required() else field.get_default(call_default_factory=False)
        shown = "number of cores" if name == "threads" else "" if default is None else as_text(default)
        rows.append((PREFIX + name.upper(), shown, field.description or ""))
    return rows


def as_text(value: object) -> str:
    """A value as its variable would hold it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)
