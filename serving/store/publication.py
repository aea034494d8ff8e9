"""Publishing: a new version of the store that equals the lake, by writing only what changed.

Here: what changed, and in which order a version comes to be. Not here: SQL over the lake (`lake_reader`,
`collection_documents`, `documents`), statements on the store (`version_writer`), swapping files (`files`).

Concept: the last version is copied, the rows of changed collections are brought up to date, and the result becomes the
next version as a whole. Digests show what changed: each version keeps those of what it was made from. Publishing
to a store that is missing, damaged or of another format writes everything, and the result is the same.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import duckdb
from filelock import FileLock

from ml.registry.artifacts import ArtifactStore
from serving.store import files
from serving.store.collection_documents import read_collections
from serving.store.documents import read_documents
from serving.store.errors import PublicationError, StoreError, StoreMissingError
from serving.store.lake_reader import history_digests, record_digests, token_digests
from serving.store.plan import Contents, plan_changes
from serving.store.reasons import ReasonsConfig, chosen_tokens
from serving.store.schema import FORMAT
from serving.store.version_writer import VersionWriter

STALE_AFTER_S = 26 * 3600.0
"""Service level `estimates_fresh`: 26 hours."""


@dataclass(frozen=True)
class PublicationConfig:
    """Settings of a publication.

    Attributes:
        stale_after_s: Age in seconds beyond which readers call the data stale.
        reasons: How many reasons are published.
        lock_timeout_s: Seconds to wait for another publication.
    """

    stale_after_s: float = STALE_AFTER_S
    reasons: ReasonsConfig = field(default_factory=ReasonsConfig)
    lock_timeout_s: float = 1800.0


@dataclass(frozen=True)
class PublicationReport:
    """What a publication did.

    Attributes:
        version: The current version now.
        is_new: Whether this publication made it; False when nothing had changed.
        anew: Why everything was written, or None when the last version was carried on.
        rows: Rows inserted or changed by table.
        collections_changed: Collections whose tokens were written.
        unexplained: Reason by collection whose reasons could not be computed.
        bytes: Size of the version.
        seconds: Seconds by stage.
    """

    version: str
    is_new: bool
    anew: str | None
    rows: dict[str, int]
    collections_changed: int
    unexplained: dict[str, str]
    bytes: int
    seconds: dict[str, float]


def publish(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    market_time: datetime,
    artifacts: ArtifactStore | None = None,
    config: PublicationConfig | None = None,
    now: float | None = None,
) -> PublicationReport:
    """Make the store equal to the lake.

    Args:
        con: A read connection of the lake, best at one snapshot.
        folder: Folder of the store; made if it is not there.
        market_time: As-of time of the home: the watermark of its source (UTC, naive).
        artifacts: Where model files are; None publishes no reasons.
        config: Settings.
        now: Seconds since 1970; the machine's clock when None.

    Raises:
        PublicationError: The lake has no estimates.
        filelock.Timeout: Another process is publishing for too long.
    """
    config = config or PublicationConfig()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "publish.lock").acquire(timeout=config.lock_timeout_s):
        return _publish(con, folder, market_time, artifacts, config, time.time() if now is None else now)


def _publish(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    market_time: datetime,
    artifacts: ArtifactStore | None,
    config: PublicationConfig,
    now: float,
) -> PublicationReport:
    seconds: dict[str, float] = {}
    began = time.perf_counter()
    contents = read_contents(con, market_time, artifacts, config.reasons)
    previous, anew = previous_version(folder)
    base = None if previous is None else folder / previous.file
    plan = plan_changes(contents, base)
    lag_s = _lag_s(con, market_time)
    seconds["compare"] = time.perf_counter() - began
    if previous is not None and plan.is_empty:
        confirmed = replace(
            previous,
            confirmed_at=now,
            market_time=market_time.isoformat(),
            lag_s=lag_s,
            stale_after_s=config.stale_after_s,
        )
        files.write_pointer(folder, confirmed)
        return PublicationReport(previous.version, False, None, {}, 0, {}, previous.bytes, seconds)
    version = _next_version(folder)
    unfinished = files.unfinished_path(folder, version)
    unfinished.unlink(missing_ok=True)
    began = time.perf_counter()
    if base is not None:
        files.copy_forward(base, unfinished)
    seconds["copy"], began = time.perf_counter() - began, time.perf_counter()
    with VersionWriter(unfinished, is_new=base is None) as writer:
        unexplained = writer.write(con, contents, plan, artifacts, config.reasons)
        writer.seal(version, now, market_time)
        rows = dict(writer.rows)
    seconds["write"], began = time.perf_counter() - began, time.perf_counter()
    pointer = files.Pointer(
        format=FORMAT,
        version=version,
        file=files.file_name(version),
        bytes=unfinished.stat().st_size,
        digest=files.sample_digest(unfinished),
        published_at=now,
        confirmed_at=now,
        market_time=market_time.isoformat(),
        lag_s=lag_s,
        stale_after_s=config.stale_after_s,
    )
    files.swap(folder, unfinished, pointer)
    seconds["swap"] = time.perf_counter() - began
    return PublicationReport(version, True, anew, rows, len(plan.tokens), unexplained, pointer.bytes, seconds)


def read_contents(
    con: duckdb.DuckDBPyConnection,
    market_time: datetime,
    artifacts: ArtifactStore | None,
    reasons: ReasonsConfig,
) -> Contents:
    """What the lake holds now, as digests and documents.

    Raises:
        PublicationError: It has no estimates.
    """
    collections = read_collections(con, market_time)
    if not collections:
        raise PublicationError(
            "expected estimates in predictions.token_estimates, found none; `assay run` makes them"
        )
    return Contents(
        collections={document["collection"]: document for document in collections},
        tokens=token_digests(con),
        history=history_digests(con),
        records=record_digests(con),
        documents=read_documents(con, market_time),
        explained={} if artifacts is None else chosen_tokens(con, reasons),
    )


def previous_version(folder: Path) -> tuple[files.Pointer | None, str | None]:
    """The version to carry on, or None and why there is none."""
    try:
        pointer = files.read_pointer(folder)
        files.check_file(folder, pointer)
    except StoreMissingError:
        return None, "the first publication"
    except StoreError as error:
        return None, str(error)
    return pointer, None


def _next_version(folder: Path) -> str:
    """Higher than any before, so that versions sort, with a random end, so that no name is ever used twice."""
    return f"{files.highest_number(folder) + 1:08d}-{secrets.token_hex(4)}"


def _lag_s(con: duckdb.DuckDBPyConnection, market_time: datetime) -> float:
    """Seconds that the newest estimate is behind the newest arrival (service level `estimates_fresh`)."""
    row = con.execute(
        """
        select greatest(epoch(
            least((select max(covered_until) from marts.dim_collections), $now::timestamp)
            - (select max(as_of) from predictions.token_estimates where estimate_eth is not null)
        ), 0)
        """,
        {"now": market_time},
    ).fetchone()
    return float(row[0]) if row and row[0] is not None else 0.0
