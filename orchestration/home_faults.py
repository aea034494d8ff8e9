"""Why a home cannot be used: what it is examined for when something has failed, in sentences.

Here: the one place where an error of a database library, or of the operating system, about a file of the home becomes
what was expected, what was found and what to do. Not here: errors that our own code raises; they are sentences already.

Concept: libraries report a damaged file or a full disk in many words and at many places. So what they report only
starts an examination. What it finds is shown instead of their error; without a finding their error is shown as it is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from lake.backup_record import way_back
from lake.errors import LakeError
from lake.sqlite_files import problems_of

_FULL = ("no space left", "disk is full", "quota exceeded", "file too large")
_READ_ONLY = ("readonly", "read-only", "permission denied", "unable to open database", "not permitted")
_OF_A_FILE = ("database", "sqlite", "disk i/o", "corrupt", "no such file")
_SERVER = (
    "server closed the connection",
    "connection to server",
    "unable to connect to postgres",
    "terminating connection",
    "the database system is",
)
"""What libpq reports of a server that was stopped, restarts or cannot be reached."""

_ENOUGH = 50_000_000
"""Free bytes below which a refused write is one of a full disk."""


@dataclass(frozen=True)
class DatabaseOfHome:
    """A database that a home has in an SQLite file.

    Attributes:
        path: Within the home.
        what: What is in it.
        is_history: Whether it only keeps what was: moved away, a new one is made.
    """

    path: str
    what: str
    is_history: bool


_DAGSTER = "Dagster's history of runs"
DATABASES = (
    DatabaseOfHome("lake/catalog.sqlite", "the lake's catalog", is_history=False),
    DatabaseOfHome("mlflow.sqlite", "the model registry", is_history=True),
    DatabaseOfHome("alerts.db", "alerts and what was sent", is_history=True),
    DatabaseOfHome("api/requests.sqlite", "the API's request log", is_history=True),
    DatabaseOfHome("dagster/history/runs.db", _DAGSTER, is_history=True),
    DatabaseOfHome("dagster/history/runs/index.db", _DAGSTER, is_history=True),
    DatabaseOfHome("dagster/schedules/schedules.db", "Dagster's sensors and schedules", is_history=True),
)
PAGE = "docs/runbook/home-damaged.md"


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a home.

    Attributes:
        path: The file within the home; empty: the home or its disk.
        problem: What was expected and found.
        way_out: What to do.
    """

    path: str
    problem: str
    way_out: str

    def __str__(self) -> str:
        """In sentences."""
        return f"{self.problem} {self.way_out}"


def fault_of(error: BaseException, home: Path) -> Fault | None:
    """What is wrong with the home that explains an error; None if nothing is found, or it is about something else.

    Args:
        error: Any exception, with its causes.
        home: The home that was in use.
    """
    texts = [" ".join(f"{type(one).__name__}: {one}".split()) for one in _causes(error)]
    lost = next((text for text in texts if _mentions(text, _SERVER)), None)
    if lost is not None:
        return Fault(
            "",
            f"Expected the PostgreSQL server of this home to answer, found: {_from(lost, _SERVER)}.",
            "Start it, or correct its address or password, and run again: what was committed stays "
            "(docs/how-to/postgresql-catalog.md).",
        )
    reported = next((text for text in texts if _mentions(text, (*_FULL, *_READ_ONLY, *_OF_A_FILE))), None)
    if reported is None or not home.is_dir():
        return None
    free = shutil.disk_usage(home).free
    if any(_mentions(text, _FULL) for text in texts) or free < _ENOUGH:
        return Fault(
            "",
            f"Expected room on the disk of {home}, found {free / 1e6:,.0f} MB free and a write that was refused "
            f"({reported[:160]}).",
            "Make room and run again: what was committed stays, nothing else was kept (docs/runbook/disk-full.md).",
        )
    if any(_mentions(text, _READ_ONLY) for text in texts) and (closed := _closed(home)) is not None:
        return Fault(
            "",
            f"Expected that this user may write to {closed}, found that it may not ({reported[:160]}).",
            "A home is one user's: run as its owner, or mount its disk writable; nothing was changed.",
        )
    return next(iter(damaged_databases(home)), None)


def damaged_databases(home: Path) -> list[Fault]:
    """Databases of the home that SQLite cannot read; it reads all of each."""
    there = [one for one in DATABASES if (home / one.path).exists()]
    try:
        problems = problems_of([home / one.path for one in there])
    except LakeError as error:
        return [Fault("", str(error), "")]
    return [
        Fault(
            one.path,
            f"Expected {one.what} in {home / one.path}, found a damaged file ({problem}).",
            _way_out(home, one),
        )
        for one, problem in zip(there, problems, strict=True)
        if problem is not None
    ]


def _way_out(home: Path, one: DatabaseOfHome) -> str:
    if not one.is_history:
        return f"{way_back(home)} (docs/runbook/lake-unreadable.md)."
    path = "dagster" if one.path.startswith("dagster/") else one.path
    beside = "" if path == "dagster" else f" && rm -f {quote(str(home / path))}-*"
    return (
        f"Stop what runs on this home, move it aside and run again: `mv {quote(str(home / path))} "
        f"{quote(str(home / path))}.damaged{beside} && assay run --home {quote(str(home))}`. A new one is made; the "
        f"lake and the models are not touched. A backup has the old one ({PAGE})."
    )


def _closed(home: Path) -> Path | None:
    """The first folder or file of the home that this process may not write."""
    paths = [home, home / "lake", home / "dagster", *(home / one.path for one in DATABASES)]
    return next((path for path in paths if path.exists() and not os.access(path, os.W_OK)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]


def _from(text: str, words: tuple[str, ...]) -> str:
    """What a text reports from the first of these that is in it, not too long."""
    lower = text.lower()
    return next(text[lower.index(word) :][:200] for word in words if word in lower).rstrip(" .?!")


def _mentions(text: str, words: tuple[str, ...]) -> bool:
    lower = text.lower()
    return any(word in lower for word in words)
