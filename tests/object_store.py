"""A real S3 server for tests: moto's, in a process of its own, on a free port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import boto3
import httpx

from lake.object_store import ObjectStore

BUCKET = "market"
# What breaks a statement or an address that is not quoted.
KEYS = ("AKIATEST1", "s3cret'+/=;--\"x")


@contextmanager
def bucket() -> Iterator[ObjectStore]:
    """A server with the empty bucket `BUCKET`, as a lake reaches it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            assert process.poll() is None, "the S3 server has ended"
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/moto-api/").is_success:
                    break
            time.sleep(0.1)
        _client(url).create_bucket(Bucket=BUCKET)
        yield ObjectStore(*KEYS, endpoint=url, path_style=True)
    finally:
        process.kill()
        process.wait()


def objects(store: ObjectStore) -> dict[str, int]:
    """Key and size of each object of the bucket."""
    pages = _client(store.endpoint).get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}


def put(store: ObjectStore, key: str, content: bytes) -> None:
    """Write one object."""
    _client(store.endpoint).put_object(Bucket=BUCKET, Key=key, Body=content)


def _client(url: str | None):
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=KEYS[0],
        aws_secret_access_key=KEYS[1],
        region_name="us-east-1",
    )
