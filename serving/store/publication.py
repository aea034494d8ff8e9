"""Publishing: a new version of the store that equals the lake, by writing only what changed.

Here: what changed, and in which order a version comes to be. Not here: SQL over the lake (`lake_reader`,
`collection_documents`, `documents`), or writing (`sqlite.target`, `postgres.target`).

Concept: the last version is carried on, the rows of changed collections are brought up to date, and the result becomes
the next version as a whole. Digests show what changed: each version keeps those of what it was made from. Publishing
to a store that is missing, damaged or of another format writes everything, and the result is the same.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from ml.registry.artifacts import ArtifactStore
from ml.text.finite import finite
from serving.store.asked import FOLDER as ASKED
from serving.store.asked import Token, most_asked
from serving.store.collection_documents import read_collections
from serving.store.documents import as_json, read_documents
from serving.store.errors import PublicationError
from serving.store.gains_reader import gains_digests
from serving.store.lake_reader import history_digests, record_digests, token_digests
from serving.store.location import open_target
from serving.store.market_documents import market_digests
from serving.store.plan import Contents, plan_changes
from serving.store.reasons import ReasonsConfig, changed_reasons, chosen_tokens
from serving.store.target import Changes, Stamp, Target

STALE_AFTER_S = 26 * 3600.0
"""Service level `estimates_fresh`: 26 hours."""


@dataclass(frozen=True)
class PublicationConfig:
    """Settings of a publication.

    Attributes:
        stale_after_s: Age in seconds beyond which readers call the data stale.
        reasons: How many reasons are published.
        asked: Folder in which the API counts whose reasons are asked for; None: within the store, if that is a folder.
        lock_timeout_s: Seconds to wait for another publication.
        market: Which market this is; a database that holds another one's answers is refused. Empty: not compared.
    """

    stale_after_s: float = STALE_AFTER_S
    reasons: ReasonsConfig = field(default_factory=ReasonsConfig)
    asked: Path | None = None
    lock_timeout_s: float = 1800.0
    market: str = ""


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
    location: Path | str,
    market_time: datetime,
    artifacts: ArtifactStore | None = None,
    config: PublicationConfig | None = None,
    now: float | None = None,
    documents: Mapping[str, Any] | None = None,
) -> PublicationReport:
    """Make the store equal to the lake.

    Args:
        con: A read connection of the lake, best at one snapshot.
        location: Folder of the store, made if it is not there, or the address of a PostgreSQL database.
        market_time: As-of time of the home: the watermark of its source (UTC, naive).
        artifacts: Where model files are; None publishes no reasons.
        config: Settings.
        now: Seconds since 1970; the machine's clock when None.
        documents: Documents about what the lake does not hold, by name, such as `documents.OPERATIONS`.

    Raises:
        PublicationError: The lake has no estimates, or another process is publishing for too long.
        StoreError: The database cannot be used.
    """
    config = config or PublicationConfig()
    folder = config.asked or (location / ASKED if isinstance(location, Path) else None)
    with open_target(location, config.lock_timeout_s) as target:
        stamp = Stamp(
            time.time() if now is None else now,
            market_time,
            _lag_s(con, market_time),
            config.stale_after_s,
            config.market,
        )
        asked = most_asked(folder, config.reasons.asked, stamp.now) if folder else []
        return _publish(con, target, stamp, artifacts, config.reasons, asked, documents or {})


def _publish(
    con: duckdb.DuckDBPyConnection,
    target: Target,
    stamp: Stamp,
    artifacts: ArtifactStore | None,
    reasons: ReasonsConfig,
    asked: list[Token],
    documents: Mapping[str, Any],
) -> PublicationReport:
    seconds: dict[str, float] = {}
    began = time.perf_counter()

    def timed(stage: str) -> None:
        nonlocal began
        seconds[stage], began = time.perf_counter() - began, time.perf_counter()

    contents = read_contents(con, stamp.market_time, artifacts, reasons, asked, documents)
    base, anew = target.base()
    if base is not None and stamp.market and base.market not in ("", stamp.market):
        raise PublicationError(
            f"expected a store of the market {stamp.market}, found one of {base.market}: each home needs a database of "
            "its own; correct ASSAY_SERVING_STORE, or drop the store that is there"
        )
    plan = plan_changes(contents, base)
    timed("compare")
    stored = {} if base is None else base.reasons
    changed, unexplained = changed_reasons(con, contents, plan.ids, stored, artifacts, reasons)
    timed("explain")
    if base is not None and plan.is_empty and not changed:
        confirmed = replace(
            base.pointer,
            confirmed_at=stamp.now,
            market_time=stamp.market_time.isoformat(),
            lag_s=stamp.lag_s,
            stale_after_s=stamp.stale_after_s,
        )
        target.confirm(confirmed)
        return PublicationReport(confirmed.version, False, None, {}, 0, unexplained, confirmed.bytes, seconds)
    written = target.write(Changes(con, contents, plan, changed), base, stamp, timed)
    pointer = written.pointer
    return PublicationReport(
        pointer.version,
        True,
        anew,
        written.rows,
        len(plan.tokens),
        unexplained,
        pointer.bytes,
        seconds,
    )


def read_contents(
    con: duckdb.DuckDBPyConnection,
    market_time: datetime,
    artifacts: ArtifactStore | None,
    reasons: ReasonsConfig,
    asked: list[Token],
    documents: Mapping[str, Any] | None = None,
) -> Contents:
    """What the lake holds now, as digests and documents, and whose reasons are wanted.

    Raises:
        PublicationError: It has no estimates.
    """
    collections = read_collections(con, market_time)
    if not collections:
        raise PublicationError(
            "expected estimates in predictions.token_estimates, found none; `assay run` makes them"
        )
    tokens = token_digests(con)
    more = {name: as_json(finite(document)) for name, document in (documents or {}).items()}
    return Contents(
        collections={document["collection"]: document for document in collections},
        tokens=tokens,
        history=history_digests(con),
        records=record_digests(con),
        gains=gains_digests(con),
        documents={**read_documents(con, market_time), **more},
        markets=market_digests(con, tokens),
        explained={} if artifacts is None else chosen_tokens(con, reasons, asked),
    )


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
