"""The home: one folder that holds everything Assay keeps for one market.

Here: laying the folder out, opening its Dagster instance, refusing another market's data, letting one
`assay run` in at a time. Not here: the lake inside it (`lake/`), runs of killed processes
(`orchestration.orphaned_runs`), or what a run does (`orchestration.runs`).
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from lake.storage import write_whole
from ml.text.times import utc_second
from orchestration.errors import HomeError
from orchestration.remembered import MARKET_FILE, read_market
from orchestration.run_database import SETTING as DAGSTER_URL
from orchestration.run_database import configure_dagster, history_in_postgres, refuse_other_history

if TYPE_CHECKING:
    import dagster as dg

    from orchestration.settings import Settings
    from serving.metrics.expected_minutes import ApiWatch

REPOSITORY = Path(__file__).resolve().parent.parent
LONGEST_PATH = 400
"""Bytes of the path of a home; the longest path within one has a hundred more."""


def prepare_home(settings: Settings) -> Path:
    """Create the folder, put Dagster's configuration in it and check that it belongs to this market.

    From here on this process and its children make files that only their owner can read.

    Raises:
        HomeError: the folder holds another market, or belongs to another user; or the only source of a new home has
            nothing before `as_of`, and no home is made.
        SourceError: the only source of a new home cannot be opened; no home is made.
    """
    home = settings.home_path
    _refuse_unusable_path(home)
    _in_use[:] = [home]
    if settings.sources is None and not (home / MARKET_FILE).exists():
        source = settings.source_configs[0].open(home)
        if settings.as_of is not None and settings.as_of <= (first := source.first_known()):
            raise HomeError(
                f"expected an as-of time after the first row of the source ({utc_second(first)}), found "
                f"{utc_second(settings.as_of)}"
            )
    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True)
    _make_private(home)
    dagster_home = home / "dagster"
    dagster_home.mkdir(parents=True, exist_ok=True)
    configure_dagster(REPOSITORY / "dagster.yaml", dagster_home / "dagster.yaml")
    _check_market(home / MARKET_FILE, settings)
    return home


def _refuse_unusable_path(home: Path) -> None:
    """SQLAlchemy reads `?` and `%` in the address of a file as parts of the address, and SQLite takes 512 bytes.

    Dagster looks for its configuration by a pattern, in which `*` and `[` stand for other names: without it no secret
    would be masked.
    """
    found = next((sign for sign in str(home) if sign in "?%*[" or not sign.isprintable()), None)
    if found is not None:
        raise HomeError(
            f"Expected the path of a home without ?, %, *, [ and control characters, found {found!r} in "
            f"{str(home)!r}: addresses of databases and patterns give them another meaning. "
            "Choose another folder with ASSAY_HOME=… or --home …"
        )
    length = len(os.fsencode(home))
    if length > LONGEST_PATH:
        raise HomeError(
            f"Expected the path of a home to have at most {LONGEST_PATH} bytes, found {length}: SQLite cannot open "
            "files with longer names. Choose another folder with ASSAY_HOME=… or --home …"
        )


def _make_private(home: Path) -> None:
    """Take the rights of group and others away: of the folder, and of what an older version has left in it.

    The rest of the home is only walked when the folder itself was open. Links are not followed: what they lead to is
    shared on purpose.
    """
    try:
        if not _is_open(home):
            return
        if (home / MARKET_FILE).exists():
            for folder, folders, files in os.walk(home):
                for name in (*folders, *files):
                    _close(Path(folder, name))
        # Last: a walk that was killed is walked again.
        _close(home)
    except PermissionError as error:
        raise HomeError(
            f"{home} can be read by others, and this user may not change that ({error}). A home is one user's: run "
            "assay as its owner, or use another folder with ASSAY_HOME=… or --home …"
        ) from error


def _is_open(path: Path) -> bool:
    return bool(path.lstat().st_mode & 0o077)


def _close(path: Path) -> None:
    try:
        if not path.is_symlink() and _is_open(path):
            path.chmod(path.lstat().st_mode & 0o700)
    except FileNotFoundError:
        # A running process may remove its temporary files meanwhile.
        return


def existing_home(settings: Settings) -> Path:
    """The folder, for commands that read or change what a run has left there. A mistyped path does not make a home.

    Raises:
        HomeError: nothing was run there, or it holds another market.
    """
    home = settings.home_path
    if not (home / MARKET_FILE).exists():
        raise HomeError(f"{home} is no Assay home; expected one that `assay run` has made.")
    return prepare_home(settings)


def serving_home(settings: Settings) -> Path:
    """The folder, for what serves a published store. One that is in a database needs no home that a run has made.

    Raises:
        HomeError: The store is in a home, and nothing was run there.
    """
    home = settings.home_path
    if settings.serving_store is None or (home / MARKET_FILE).exists():
        return existing_home(settings)
    _refuse_unusable_path(home)
    _in_use[:] = [home]
    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True)
    _make_private(home)
    return home


_in_use: list[Path] = []


def home_in_use() -> Path | None:
    """The home that this process has prepared last; None: none yet."""
    return _in_use[-1] if _in_use else None


def store_location(settings: Settings) -> Path | str:
    """Where estimates are published to and served from: a folder of the home, or a PostgreSQL URL."""
    from serving.store.files import FOLDER

    if settings.serving_store is not None:
        return settings.serving_store.get_secret_value()
    return settings.home_path / FOLDER


def api_watch(settings: Settings, now: datetime) -> ApiWatch:
    """Where the requests of the API of this home are, and whether one is always expected.

    Args:
        settings: The home.
        now: Wall-clock time, naive UTC.
    """
    from serving.api.keys import keys_folder
    from serving.metrics.expected_minutes import ApiWatch
    from serving.metrics.request_log import FILE

    return ApiWatch(keys_folder(settings.home_path) / FILE, now, settings.api_expected)


def _check_market(path: Path, settings: Settings) -> None:
    held = read_market(path) if path.exists() else settings.market
    differing = {k: (held.get(k), v) for k, v in settings.market.items() if held.get(k) != v}
    if differing:
        what = ", ".join(f"{k}={old} there, {k}={new} asked" for k, (old, new) in differing.items())
        raise HomeError(
            f"{path.parent} holds another market ({what}). Give this one its own folder with ASSAY_HOME=… "
            "or --home …, add it to this one with `assay sources add`, or remove the folder to start over."
        )
    if not path.exists():
        write_market(path, settings.remembered)


def remember_market(settings: Settings) -> None:
    """Note in the home what has changed of its market, such as more days: only the run that ingests them does.

    What is refused, or only reads, leaves the home as it is.
    """
    write_market(settings.home_path / MARKET_FILE, settings.remembered)


def write_market(path: Path, market: dict[str, str | int]) -> None:
    """What a home remembers of its market, unless it does already; a reader sees the old or the new one."""
    content = json.dumps(market, indent=2) + "\n"
    if not path.exists() or path.read_text() != content:
        write_whole(path, content)


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The Dagster instance of the home: SQLite under `<home>/dagster`, or the database that the settings name.

    Raises:
        HomeError: The history is in a database that is not named, or has another market's runs.
    """
    import dagster as dg

    dagster_home = settings.home_path / "dagster"
    os.environ["DAGSTER_HOME"] = str(dagster_home)
    if settings.dagster_url is not None:
        # Dagster reads it there, in this process and in those that it starts.
        os.environ[DAGSTER_URL] = settings.dagster_url.get_secret_value()
    # Its first opening makes tables, and two processes that do so at once fail.
    with FileLock(dagster_home / "opening.lock"):
        if settings.dagster_url is None:
            return dg.DagsterInstance.get()
        with history_in_postgres(dagster_home / "dagster.yaml"):
            instance = dg.DagsterInstance.get()
            refuse_other_history(instance, settings.market)
            return instance


@contextmanager
def run_lock(home: Path, timeout_s: float, on_wait: Callable[[str], object] | None = None) -> Iterator[None]:
    """Hold the home for one run. A second one waits up to `timeout_s` and names the holder.

    Raises:
        HomeError: still taken after `timeout_s`; names the holder.
    """
    holder = home / "run.holder.json"
    lock = FileLock(home / "run.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = _describe(holder)
        if on_wait is not None:
            on_wait(f"waiting for {who}, up to {timeout_s:.0f} s")
        try:
            lock.acquire(timeout=timeout_s)
        except Timeout as error:
            raise HomeError(
                f"{home} is in use by {who}; waited {timeout_s:.0f} s. Try again later, or set ASSAY_LOCK_TIMEOUT_S."
            ) from error
    try:
        holder.write_text(
            json.dumps(
                {
                    "pid": os.getpid(),
                    "host": socket.gethostname(),
                    "since": datetime.now(UTC).isoformat(timespec="seconds"),
                }
            )
        )
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _describe(holder: Path) -> str:
    try:
        process = json.loads(holder.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return "another assay process"
    return f"process {process['pid']} on {process['host']} (since {process['since']})"
