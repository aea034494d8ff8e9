"""Limits that several processes count together, in a real Redis."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from serving.api.limiting import RETRY_S, Limiter

pytest.importorskip("redis", reason="The client of Redis is not installed: shared limits are not exercised.")


class Redis:
    """A server of the test's own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder = folder
        self.url = f"redis://:secret@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", "secret", "--save", ""]
        self.process = subprocess.Popen(
            ["redis-server", *options], cwd=self._folder, stdout=subprocess.DEVNULL
        )
        for _ in range(200):
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("Redis did not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: shared limits are not exercised.")
    started = Redis(tmp_path)
    started.start()
    yield started
    started.stop()


def test_two_processes_count_together_and_alone_while_redis_is_away(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    one, two = (Limiter("2/hour", "3/hour", redis.url, lambda: now) for _ in range(2))
    assert [limiter.wait_of_key("k", "") is None for limiter in (one, two, one, two)] == [
        True,
        True,
        False,
        False,
    ]
    assert [limiter.wait_of_address("10.0.0.1") is None for limiter in (one, two, two, one)] == [True] * 3 + [
        False
    ]
    assert 0 < (two.wait_of_key("k", "") or 0) <= 3600
    redis.stop()
    with caplog.at_level(logging.WARNING):
        assert [one.wait_of_key("k", "") is None for _ in range(3)] == [True, True, False]
    (record,) = caplog.records
    assert "counted by each process alone" in record.getMessage()
    assert "secret" not in caplog.text
    redis.start()
    assert one.wait_of_key("k", "") is not None, "a storage that failed is not asked at once"
    now += RETRY_S
    assert [limiter.wait_of_key("k", "") is None for limiter in (one, two, one)] == [True, True, False]


def test_a_redis_that_is_not_there_at_the_start_holds_up_no_request(redis: Redis) -> None:
    redis.stop()
    limiter = Limiter("2/hour", "", redis.url)
    assert [limiter.wait_of_key("k", "") is None for _ in range(3)] == [True, True, False]
    redis.start()
