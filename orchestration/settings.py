"""What a user can set: every `ASSAY_*` environment variable, its type, its bounds and its default.

Here: reading and checking the environment, once, at start. Not here: opening what the settings name
(`resources.py`). A wrong or misspelt variable stops the program before anything is touched, and the
message says what is allowed.
"""

from __future__ import annotations

import difflib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lake.config import LakeConfig
from lake.errors import CatalogUrlError
from lake.postgres import PostgresAddress
from orchestration.output.masking import SECRET_VARIABLES, learn_secret

PREFIX = "ASSAY_"
# Read by the test suite only, to find the real market data.
TEST_VARIABLES = frozenset({"ASSAY_TEST_DATA"})


# Each source has its own home by default, so that a simulated market and real data never mix.
DEFAULT_HOMES = {"simulator": ".assay", "files": ".assay-files"}
MARKET_FILE = "market.json"


class SettingsError(ValueError):
    """A setting has a value that is not allowed; the message lists every one of them."""


class Settings(BaseSettings):
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
    source: Literal["simulator", "files"] = Field("simulator", description="where market data come from")
    data_dir: Path | None = Field(None, description="folder of Parquet or CSV files, for source=files")
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
    catalog_url: SecretStr | None = Field(
        None, description="PostgreSQL URL of the lake catalog (postgresql://…); default SQLite under the home"
    )
    data_path: str | None = Field(
        None,
        description="folder or prefix in whose subfolder assay-lake the lake keeps its Parquet files; "
        "default under the home",
    )
    mlflow_url: SecretStr | None = Field(
        None, description="MLflow tracking and registry URI; default SQLite under the home"
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
        0,
        ge=0,
        description="collections, the most valuable first, whose best tokens are published with reasons; about "
        "half a second of CPU each",
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
    enable_schedules: bool = Field(False, description="turn on all schedules and sensors")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "CRITICAL",
        description="least level of Dagster's own log lines on the terminal; progress is shown anyway",
    )

    @field_validator("faults")
    @classmethod
    def _faults_parse(cls, value: str) -> str:
        if value:
            from sources.protocol import SourceError
            from sources.simulator.config import Fault

            try:
                for fault in value.split(","):
                    Fault.parse(fault)
            except SourceError as error:
                raise ValueError(str(error)) from error
        return value

    @field_validator("as_of")
    @classmethod
    def _naive_utc(cls, value: datetime | None) -> datetime | None:
        """The lake keeps naive UTC."""
        if value is not None and value.tzinfo is not None:
            from datetime import UTC

            return value.astimezone(UTC).replace(tzinfo=None)
        return value

    @field_validator("catalog_url")
    @classmethod
    def _catalog_is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                PostgresAddress.of(value.get_secret_value())
            except CatalogUrlError as error:
                raise ValueError(str(error)) from error
        return value

    @field_validator("deadman_url")
    @classmethod
    def _deadman_is_http(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("expected a URL that starts with https:// or http://")
        return value

    @model_validator(mode="after")
    def _files_need_a_folder(self) -> Settings:
        if self.source == "files" and self.data_dir is None:
            raise ValueError("source=files needs data_dir (--data-dir DIR or ASSAY_DATA_DIR)")
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
        return (self.home or Path(DEFAULT_HOMES[self.source])).expanduser().resolve()

    @property
    def market(self) -> dict[str, str | int]:
        """What fixes the identity of the data in a home: a home refuses another market."""
        if self.source == "files":
            assert self.data_dir is not None
            return {"source": "files", "data_dir": str(self.data_dir.expanduser().resolve())}
        return {
            "source": "simulator",
            "collections": self.collections,
            "seed": self.seed,
            "faults": self.faults,
        }

    @property
    def remembered(self) -> dict[str, str | int]:
        """What a home keeps of its settings, so that later commands on it need only its name."""
        return self.market if self.source == "files" else {**self.market, "days": self.days}

    def lake_config(self) -> LakeConfig:
        """The lake of this home."""
        return LakeConfig(
            home=self.home_path,
            catalog_url=None if self.catalog_url is None else self.catalog_url.get_secret_value(),
            data_path=self.data_path,
            memory_limit=self.memory_limit,
            threads=self.threads,
            lock_timeout_s=self.lock_timeout_s,
        )

    def as_environment(self) -> dict[str, str]:
        """The settings as `ASSAY_*` variables, so that a child process (the UI, dbt) sees the same ones."""
        values = self.model_dump(exclude_none=True)
        values["home"] = self.home_path
        if self.data_dir is not None:
            values["data_dir"] = self.data_dir.expanduser().resolve()
        return {PREFIX + name.upper(): _as_text(value) for name, value in values.items()}


def load_settings(**overrides: object) -> Settings:
    """Read `ASSAY_*`, let the given values (a command line's options; None = not given) win, and check everything.

    What neither sets is taken from the home, if it exists already: the market it was made for.

    Raises:
        SettingsError: naming each bad variable, the value found and what is allowed.
    """
    _refuse_unknown_variables()
    given = {name: value for name, value in overrides.items() if value is not None}
    remembered = _remembered_by_home(given)
    try:
        return Settings(**{**remembered, **given})  # type: ignore[arg-type]
    except ValidationError as error:
        # Not chained: pydantic's error still holds the values that it does not show.
        raise SettingsError(_explain(error)) from None


def _remembered_by_home(given: dict[str, object]) -> dict[str, object]:
    """The market of the home that is meant, without what an option or a variable sets."""
    source = given.get("source") or os.environ.get(PREFIX + "SOURCE") or "simulator"
    home = given.get("home") or os.environ.get(PREFIX + "HOME") or DEFAULT_HOMES.get(str(source))
    held = Path(str(home)).expanduser() / MARKET_FILE
    if home is None or not held.exists():
        return {}
    remembered = json.loads(held.read_text())
    return {name: value for name, value in remembered.items() if PREFIX + name.upper() not in os.environ}


def describe_settings() -> list[tuple[str, str, str]]:
    """(variable, default, description) of every setting, in the order of the class."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.is_required() else field.get_default(call_default_factory=False)
        shown = "number of cores" if name == "threads" else "" if default is None else _as_text(default)
        rows.append((PREFIX + name.upper(), shown, field.description or ""))
    return rows


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refuse_unknown_variables() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | TEST_VARIABLES
    for name in sorted(os.environ):
        # Variables with a second prefix (ASSAY_LAKE_*) are set by Assay itself for dbt.
        if name.startswith(PREFIX) and name not in known and not name.startswith("ASSAY_LAKE_"):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise SettingsError(
                f"{name} is not a setting{hint}\nAllowed: {', '.join(sorted(known - TEST_VARIABLES))}"
            )


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        field = str(problem["loc"][0]) if problem["loc"] else ""
        about = Settings.model_fields[field].description if field in Settings.model_fields else ""
        name = PREFIX + field.upper() if field else "settings"
        found = f" (found {problem['input']!r})" if field and name not in SECRET_VARIABLES else ""
        lines.append(f"{name}: {problem['msg']}{found}" + (f" — {about}" if about else ""))
    return "\n".join(lines)
