"""An S3-compatible object store: its address and keys, and what DuckDB is given.

Here: which addresses are possible, and the DuckDB secret. Not here: reading and writing (`lake.storage`, DuckLake).

Concept: as with PostgreSQL, keys reach DuckDB as a secret, which no message shows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lake.errors import DataPathError
from lake.storage import quoted

SCHEME = "s3://"
SECRET = "assay_object_store"
"""Name of the DuckDB secret that holds the keys, in every connection of its own."""


def refuse_other_prefix(path: str) -> None:
    """Raises DataPathError unless a path with a scheme is a bucket of S3, with or without a prefix in it."""
    if not re.fullmatch(rf"{SCHEME}[^/]+(/.*)?", path):
        raise DataPathError(
            f"Expected a folder or a path that starts with {SCHEME}bucket, found {path!r}; correct ASSAY_DATA_PATH or "
            "ASSAY_MODELS_PATH and start again."
        )


@dataclass(frozen=True)
class ObjectStore:
    """Where buckets are, and who we are there.

    Attributes:
        access_key_id: Name of the key.
        secret_access_key: The key.
        endpoint: URL of the server without a path; None: Amazon's.
        region: Region that requests are signed for. Servers other than Amazon's mostly ignore it.
        path_style: Whether the bucket is in the path (`https://host/bucket`) and not in the host name.

    Raises:
        DataPathError: The endpoint is not a URL of a server, or a key is missing.
    """

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    endpoint: str | None = None
    region: str = "us-east-1"
    path_style: bool = False

    def __post_init__(self) -> None:
        if not self.access_key_id or not self.secret_access_key:
            raise DataPathError(
                "Expected both keys of the object store, ASSAY_S3_ACCESS_KEY_ID and ASSAY_S3_SECRET_ACCESS_KEY, found "
                f"{'none' if not (self.access_key_id or self.secret_access_key) else 'one'}; set both."
            )
        if self.endpoint is None:
            return
        try:
            parts = urlsplit(self.endpoint)
            is_server = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            is_server = False
        if not is_server or parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
            # Not repeated: a key may have been written into it.
            raise DataPathError(
                "Expected ASSAY_S3_ENDPOINT to be the URL of a server, such as https://s3.example.org or "
                "http://127.0.0.1:9000, without a path or a user; found another text. Correct it and start again."
            )

    def dbt_values(self) -> dict[str, str]:
        """Endpoint, region, style of addresses and TLS in the words of DuckDB's secret; none is a key."""
        values = {"region": self.region, "url_style": "path" if self.path_style else "vhost"}
        if self.endpoint is None:
            return {**values, "endpoint": "s3.amazonaws.com", "use_ssl": "true"}
        parts = urlsplit(self.endpoint)
        return {**values, "endpoint": parts.netloc, "use_ssl": "true" if parts.scheme == "https" else "false"}

    def secret_sql(self) -> str:
        """The statement that gives a DuckDB connection the keys."""
        values = {
            "key_id": self.access_key_id,
            "secret": self.secret_access_key,
            **self.dbt_values(),
        }
        options = ", ".join(f"{name} {quoted(value)}" for name, value in values.items())
        return f"create or replace temporary secret {SECRET} (type s3, {options})"
