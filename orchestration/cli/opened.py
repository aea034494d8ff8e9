"""A home that must be there, opened for a command, and the names that a command is given, before anything is built.

Here: settings and refusals. Not here: making a home (`orchestration.home`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ml.text.times import utc_minute
from ml.text.visible import visible
from orchestration.settings import Settings, SettingsError, load_settings


def open_home(home: Path | None, source: str | None = None, data_dir: Path | None = None) -> Settings:
    """The settings of an existing home.

    Raises:
        SettingsError: An option or a variable is not allowed.
        HomeError: Nothing was run there, or it holds another market.
    """
    from orchestration.home import existing_home

    opened = load_settings(home=home, source=source, data_dir=data_dir)
    existing_home(opened)
    return opened


def known_collections(settings: Settings, given: Sequence[str]) -> list[str]:
    """The keys of the collections that are meant, each once.

    Raises:
        HomeError: One is not in this home, or could be several.
    """
    from orchestration.collection_names import resolve_collections
    from orchestration.resources import open_lake

    with open_lake(settings).read() as con:
        return resolve_collections(con, given)


def covers(settings: Settings, end: datetime) -> bool:
    """Whether the marts of a home reach a time, so that they have every collection that is known then."""
    from orchestration.resources import open_lake

    if not settings.lake_config().may_exist:
        return False
    with open_lake(settings).read() as con:
        (newest,) = con.execute("select max(known_at) from raw.sales").fetchall()[0]
        (built,) = con.execute("select count(*) from ops.mart_watermark").fetchall()[0]
    return bool(built) and newest is not None and bool(newest >= end)


def require_markets(settings: Settings, given: Sequence[str]) -> None:
    """Refuse a market that this home has no collections of.

    Raises:
        SettingsError: Names the markets there are.
    """
    from orchestration.resources import open_lake

    with open_lake(settings).read() as con:
        rows = con.execute("select distinct chain from marts.dim_collections order by 1").fetchall()
    known = [chain for (chain,) in rows]
    if unknown := [market for market in given if market not in known]:
        found = ", ".join(known) or "no collections"
        raise SettingsError(
            f"--market: expected a market of this home ({visible(found)}), found {unknown[0]!r}"
        )


def require_window(settings: Settings, start: datetime, end: datetime) -> None:
    """Refuse a window in which the sources of the home know nothing.

    Raises:
        SettingsError: It ends before their first row, or starts after their last.
    """
    from orchestration.resources import Assay

    sources = Assay(settings).sources
    first, until = sources.first_known(), sources.watermark()
    if end <= first or start >= until:
        raise SettingsError(
            f"expected a window between {first:%Y-%m-%d} and {until:%Y-%m-%d}, for which there are data; found "
            f"{utc_minute(start)} to {utc_minute(end)}"
        )


def require_folder_for(path: Path, option: str) -> None:
    """Refuse a file that cannot be written, before hours of work for it.

    Raises:
        SettingsError: It is a folder, or there is no folder for it that this user may write.
    """
    import os

    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise SettingsError(f"{option}: expected a file in a folder that can be written, found {path}")
