"""The list of sources that a home keeps (`sources.yaml`): adding a source, and removing one with its rows.

Here: changes of the list, by one process at a time. Not here: what can be set (`sources.configuration`), and the rows
of the sources (`orchestration.ingestion.configured`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.storage import write_whole
from orchestration.errors import HomeError
from orchestration.home import existing_home, run_lock, write_market
from orchestration.ingestion.configured import remove_rows
from orchestration.remembered import MARKET_FILE
from orchestration.resources import open_lake
from orchestration.settings import SOURCES_FILE, load_settings
from sources.configuration import KINDS, parse_sources, read_sources, sources_as_yaml

if TYPE_CHECKING:
    from orchestration.settings import Settings
    from sources.configuration import SourceConfig


def add_source(
    settings: Settings, entry: dict[str, Any], on_wait: Callable[[str], object] | None = None
) -> Path:
    """Add a source to the list of a home; a home of one source gets a list.

    Args:
        settings: The home, which may not exist yet.
        entry: What `sources.yaml` says of the source.
        on_wait: Called with a text before waiting for a run.

    Returns:
        The file with the list.

    Raises:
        SourceError: The entry is wrong, or the source cannot be opened.
        HomeError: The home has a source of this name, keeps its list elsewhere, or is in use.
    """
    (config,) = parse_sources([entry], "sources add")
    _refuse_list_elsewhere(settings)
    home = settings.home_path
    config.open(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(settings, on_wait) as current:
        return _add(current, config)


def remove_source(
    settings: Settings, name: str, on_wait: Callable[[str], object] | None = None
) -> dict[str, int]:
    """Take a source out of a home: its rows, then its entry in the list.

    Args:
        settings: The home.
        name: The source.
        on_wait: Called with a text before waiting for a run.

    Returns:
        Rows removed by raw table.

    Raises:
        HomeError: The home has no such source or no other one, keeps its list elsewhere, or is in use.
    """
    home = existing_home(settings)
    with _alone(settings, on_wait) as current:
        left = tuple(one for one in current.source_configs if one.name != name)
        listed = len(left) < len(current.source_configs)
        if listed:
            _refuse_list_elsewhere(current)
        if not left:
            raise HomeError(
                f"{name!r} is the only source of {home}: add another one first, or remove the folder"
            )
        # The rows first: if this is interrupted between the two, the next run reads the source again.
        removed = remove_rows(open_lake(current), name, listed=listed)
        if listed:
            _keep(home, left)
    return removed


def watch(
    settings: Settings,
    contracts: Sequence[str],
    start: str | None,
    on_wait: Callable[[str], object] | None = None,
) -> tuple[str, ...]:
    """Watch contracts: added to the Ethereum source of a home, which gets one if it has none.

    Args:
        settings: The home, which may not exist yet.
        contracts: Addresses.
        start: First day or block that is read, for a home without such a source.
        on_wait: Called with a text before waiting for a run.

    Returns:
        All contracts that the source watches now.

    Raises:
        SourceError: An address is none, or the new source cannot be opened.
        HomeError: The home has several Ethereum sources or keeps its list elsewhere, no start is given for a new one,
            or another one for the one it has.
    """
    home = settings.home_path
    new = None
    if start is not None:
        kind = next(name for name, kind in KINDS.items() if kind.watches)
        (new,) = parse_sources(
            [{"name": kind, "kind": kind, "contracts": ",".join(contracts), "start": start}], "watch"
        )
        new.open(home)
    elif not home.exists():
        raise _no_start(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What is there is asked under the lock: two that watch at once share the source that the first of them makes.
    with _alone(settings, on_wait) as current:
        _refuse_list_elsewhere(current)
        held = [one for one in _held(current) if one.watches]
        if not held:
            if new is None:
                raise _no_start(home)
            _add(current, new)
            return _watched(new)
        if len(held) != 1:
            raise HomeError(
                f"{home} has {len(held)} sources that watch contracts: change `contracts` of the one you mean in "
                f"{SOURCES_FILE}"
            )
        (one,) = held
        if new is not None and new.options["start"] != one.options["start"]:
            raise HomeError(
                f"the source {one.name!r} of {home} starts at {one.options['start']}, found {start}"
            )
        entry = one.model_dump(mode="json") | {"contracts": ",".join((*_watched(one), *contracts))}
        (changed,) = parse_sources([entry], "watch")
        _keep(home, [changed if other.name == one.name else other for other in current.source_configs])
        return _watched(changed)


def _no_start(home: Path) -> HomeError:
    return HomeError(f"{home} has no Ethereum source yet: give the first day or block to read with --start")


def _watched(config: SourceConfig) -> tuple[str, ...]:
    return tuple(one for one in str(config.options["contracts"]).split(",") if one)


def _held(current: Settings) -> tuple[SourceConfig, ...]:
    """The sources of a home, which has none before it is made: then those of a list that is there already."""
    home = current.home_path
    if current.sources is not None or (home / MARKET_FILE).exists():
        return current.source_configs
    listed = home / SOURCES_FILE
    return read_sources(listed) if listed.exists() else ()


def _add(current: Settings, config: SourceConfig) -> Path:
    held = _held(current)
    # Of an addition that was killed before the home remembered its list, the rest is done again.
    unfinished = config in held and not (current.home_path / MARKET_FILE).exists()
    if not unfinished and any(one.name == config.name for one in held):
        raise HomeError(
            f"expected a name that this home does not have, found {config.name!r} (it has "
            f"{', '.join(one.name for one in held)})"
        )
    return _keep(current.home_path, held if unfinished else (*held, config))


@contextmanager
def _alone(settings: Settings, on_wait: Callable[[str], object] | None) -> Iterator[Settings]:
    """Hold the home, and read its settings again: another process may have changed them before."""
    with run_lock(settings.home_path, settings.lock_timeout_s, on_wait):
        yield load_settings(home=settings.home_path, sources=settings.sources)


def _refuse_list_elsewhere(settings: Settings) -> None:
    home = settings.home_path
    if settings.sources is not None and settings.sources.expanduser().resolve() != home / SOURCES_FILE:
        raise HomeError(
            f"the sources of {home} are listed in {settings.sources}: change that file, then run `assay run`"
        )


def _keep(home: Path, configs: Sequence[SourceConfig]) -> Path:
    """Replace the list, in one step.

    A home that kept no list remembers its name after it is there: killed between the two, it is as it was before.
    """
    path = home / SOURCES_FILE
    write_whole(path, sources_as_yaml(configs))
    write_market(home / MARKET_FILE, {"sources": SOURCES_FILE})
    return path
