"""Which sources a home has, and what is set for each of them.

Here: the kinds of source with their settings, and the file `sources.yaml` that lists several. Not here: reading a
source, or which sources a home already holds (`orchestration.ingestion.configured`).

A new kind of source is one class of settings in `KINDS`; nothing outside `sources` asks for a kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import yaml
from pydantic import Field, TypeAdapter, ValidationError, field_validator

from sources.ethereum.settings import EthereumConfig
from sources.listings_api.settings import ListingsApiConfig
from sources.opensea.settings import OpenSeaConfig
from sources.protocol import Source, SourceError
from sources.rates.settings import CandlesConfig, CoinGeckoConfig
from sources.source_settings import ChainName, SourceConfig


class SourcesFileError(SourceError):
    """The file that lists the sources cannot be used; the message says where, and what was expected."""


class SourceSettingError(SourceError):
    """A setting of the only source of a home is impossible.

    Attributes:
        setting: Its name.
    """

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


class FilesConfig(SourceConfig):
    """A folder of files (`sources.files`). A user may correct a file at any time."""

    kind: Literal["files"] = "files"
    data_dir: Path
    chain: ChainName = "ethereum"
    currency: str = "ETH"

    home: ClassVar[str] = ".assay-files"
    grows: ClassVar[tuple[str, ...]] = ("chain", "currency")

    def open(self, cache: Path) -> Source:  # noqa: ARG002
        """The folder as a source."""
        # Imported here, as below: a run on files must not pay for the simulator, nor the other way round.
        from sources.files.source import FilesSource

        return FilesSource(self.data_dir, chain=self.chain, default_currency=self.currency)


class SimulatedConfig(SourceConfig):
    """A simulated market (`sources.simulator`)."""

    kind: Literal["simulator"] = "simulator"
    collections: int = Field(60, ge=1, le=10_000)
    days: int = Field(365, ge=1, le=3_650)
    seed: int = Field(7, ge=0)
    faults: str = ""

    append_only: ClassVar[bool] = True
    grows: ClassVar[tuple[str, ...]] = ("days",)

    @field_validator("faults")
    @classmethod
    def _faults_parse(cls, value: str) -> str:
        if value:
            from sources.simulator.config import Fault

            try:
                for fault in value.split(","):
                    Fault.parse(fault)
            except SourceError as error:
                raise ValueError(str(error)) from None
        return value

    def open(self, cache: Path) -> Source:
        """The market; it runs when it is first read."""
        from sources.simulator.source import open_simulator

        return open_simulator(
            collections=self.collections,
            days=self.days,
            seed=self.seed,
            faults=[fault for fault in self.faults.split(",") if fault],
            cache_dir=cache / self.kind,
        )


_One = Annotated[
    SimulatedConfig
    | FilesConfig
    | EthereumConfig
    | OpenSeaConfig
    | ListingsApiConfig
    | CoinGeckoConfig
    | CandlesConfig,
    Field(discriminator="kind"),
]

KINDS: dict[str, type[SourceConfig]] = {
    kind.model_fields["kind"].default: kind for kind in get_args(get_args(_One)[0])
}
"""The kinds of source by name."""

_LIST = TypeAdapter(list[_One])


def kinds_with(setting: str) -> tuple[str, ...]:
    """The kinds of source that have a setting; none if it is no setting of a source."""
    return tuple(name for name, kind in KINDS.items() if setting in kind.model_fields)


def config_of(kind: str, settings: Mapping[str, Any], *, name: str) -> SourceConfig:
    """The configuration of the only source of a home.

    Args:
        kind: Kind of source.
        settings: Settings by name; those that this kind does not have are not used, None is not set.
        name: Its name.

    Raises:
        SourceSettingError: There is no such kind, or a setting is missing or impossible.
    """
    chosen = KINDS.get(kind)
    if chosen is None:
        raise SourceSettingError("source", f"expected {' or '.join(map(repr, KINDS))}, found {kind!r}")
    given = {n: settings[n] for n in chosen.model_fields if settings.get(n) is not None}
    try:
        return chosen(name=name, **given)
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        setting = str(problem["loc"][0])
        if problem["type"] == "missing":
            message = f"source={kind} needs {setting}"
        else:
            message = _words(problem["msg"])
            message += "" if ", found " in message else f", found {given[setting]!r}"
        raise SourceSettingError(setting, message) from None


def read_sources(path: Path) -> tuple[SourceConfig, ...]:
    """The sources that a file lists, in its order. Relative folders are relative to the file.

    Raises:
        SourcesFileError: The file cannot be read, or an entry is wrong.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SourcesFileError(f"{path}: expected a YAML file that lists sources, found {error}") from None
    entries = document.get("sources") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries or set(document) != {"sources"}:
        raise SourcesFileError(
            f"{path}: expected `sources:` with a list of sources (docs/how-to/several-sources.md), found "
            f"{type(document).__name__ if not isinstance(document, dict) else sorted(map(str, document))}"
        )
    sources = parse_sources(entries, str(path))
    names = [source.name for source in sources]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SourcesFileError(
            f"{path}: expected a name of its own for each source, found {repeated[0]!r} twice"
        )
    return tuple(_resolved(source, path.parent) for source in sources)


def parse_sources(entries: Sequence[Mapping[str, Any]], where: str) -> tuple[SourceConfig, ...]:
    """Configurations from the entries of a list.

    Args:
        entries: One mapping for each source.
        where: What the entries are from, for messages.

    Raises:
        SourcesFileError: An entry is wrong.
    """
    try:
        return tuple(_LIST.validate_python(entries))
    except ValidationError as error:
        raise SourcesFileError(_explain(error, where)) from None


def sources_as_yaml(sources: Sequence[SourceConfig]) -> str:
    """The text of a file that lists these sources."""
    entries = [source.model_dump(mode="json", exclude_defaults=True) for source in sources]
    entries = [{"name": s.name, "kind": s.kind, **e} for s, e in zip(sources, entries, strict=True)]
    text = yaml.safe_dump({"sources": entries}, sort_keys=False, allow_unicode=True)
    return "# Changed by `assay sources`; docs/how-to/several-sources.md\n" + text


def _resolved(source: SourceConfig, folder: Path) -> SourceConfig:
    paths = {
        name: (folder / value.expanduser()).resolve()
        for name in type(source).model_fields
        if isinstance(value := getattr(source, name), Path)
    }
    return source.model_copy(update=paths) if paths else source


def _explain(error: ValidationError, where: str) -> str:
    lines = []
    for problem in error.errors(include_input=False):
        # ("0", "files", "data_dir"): the entry, its kind, the setting
        entry, *rest = problem["loc"]
        setting = ".".join(str(part) for part in rest if part not in KINDS)
        lines.append(
            f"{where}: source {int(entry) + 1}{f', {setting}' if setting else ''}: {_words(problem['msg'])}"
        )
    return "\n".join(lines)


def _words(message: str) -> str:
    """What pydantic says of a value, without its name for the kind of error."""
    return message.removeprefix("Value error, ")
