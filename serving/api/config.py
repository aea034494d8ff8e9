"""The settings of the API. Here: the values. Not here: where they come from (`orchestration.settings`)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from serving.explainer.source import ReasonSource


@dataclass(frozen=True)
class ApiConfig:
    """Settings of one API.

    Attributes:
        folder: Folder of the store in SQLite files.
        store_url: Address of a store in PostgreSQL, used in place of the folder; empty: the folder.
        keys: Folder of the API keys.
        host: Address to bind.
        port: Port to bind.
        workers: Processes that answer.
        anonymous: Whether reading needs no key.
        key_limit: Requests of one key, such as "6000/minute"; empty: unlimited. A key may have its own.
        anonymous_limit: The same for one address (IPv4) or network (IPv6 /64) without a key.
        limits_url: Where several processes count together, such as redis://…; empty: each counts in its memory.
        cors_origins: Origins of web pages that may read; "*" for all.
        max_body_bytes: Bytes of a request body that are accepted.
        time_limit_s: Seconds a request may take. What reads many rows runs in a thread, which cannot be stopped: it is
            waited for, and its queries end by a limit of their own (`SqliteEdition`).
        refuse_after_s: Age of the data in seconds beyond which nothing is served.
        max_age_s: Seconds that caches may keep an answer.
        count_every_s: Seconds between two writes of which reasons were asked for.
        reasons: Where reasons that are not published are computed from; None: nowhere.
    """

    folder: Path
    keys: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    anonymous: bool = True
    key_limit: str = "6000/minute"
    anonymous_limit: str = "600/minute"
    limits_url: str = ""
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 1_000_000
    time_limit_s: float = 10.0
    refuse_after_s: float = 30 * 86_400.0
    max_age_s: int = 30
    store_url: str = field(default="", repr=False)
    count_every_s: float = 60.0
    # Its address of a catalog may hold a password.
    reasons: ReasonSource | None = field(default=None, repr=False)

    @property
    def store(self) -> Path | str:
        """Where the store is (`serving.store.location`)."""
        return self.store_url or self.folder

    def to_json(self) -> str:
        """As text, for a worker process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> ApiConfig:
        """What `to_json` wrote."""
        found: dict[str, Any] = json.loads(text)
        return cls(
            **{
                **found,
                "folder": Path(found["folder"]),
                "keys": Path(found["keys"]),
                "cors_origins": tuple(found["cors_origins"]),
                "reasons": ReasonSource.of_values(found["reasons"]),
            }
        )
