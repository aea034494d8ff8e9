"""What was answered, by minute: exact sums whoever writes, and a file that cannot be written stops nothing."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from serving.metrics.request_log import ALIVE, KEEP_S, Recorder, RequestLog, Server
from serving.metrics.requests import RequestMetrics

START = 1_800_000_000 // 60 * 60
ONE = Server("1-1", "127.0.0.1:8000", START)


WORKER = """
import sys
from pathlib import Path
from serving.metrics.request_log import Recorder, RequestLog, Server
from serving.metrics.requests import RequestMetrics, share_files
share_files(1)
metrics = RequestMetrics(None)
recorder = Recorder(RequestLog(Path(sys.argv[1])), Server("1-1", "here", 0.0), 1, metrics, lambda: True)
for status in sys.argv[2:]:
    metrics.observe("/v1/status", "GET", int(status), 0.001)
recorder.record()
print(metrics._shown()["/v1/status"].requests, end="")
"""


class Clock:
    at = START + 5.0

    def __call__(self) -> float:
        return self.at


def rows(path: Path, sql: str) -> list[tuple]:
    con = sqlite3.connect(path)
    try:
        return con.execute(sql).fetchall()
    finally:
        con.close()


@pytest.fixture
def parts(tmp_path: Path) -> tuple[RequestMetrics, Recorder, Clock, Path]:
    metrics, clock, path = RequestMetrics(CollectorRegistry()), Clock(), tmp_path / "api" / "requests.sqlite"
    metrics.observe("/v1/status", "GET", 200, 0.001)
    return metrics, Recorder(RequestLog(path), ONE, 1, metrics, lambda: True, clock), clock, path


def test_each_minute_has_what_was_answered_in_it(parts: tuple) -> None:
    metrics, recorder, clock, path = parts
    for seconds in (0.001, 0.05, 0.5, 5.0):
        metrics.observe("/v1/status", "GET", 200, seconds)
    metrics.observe("/v1/status", "GET", 503, 0.001)
    metrics.observe("/v1/status", "GET", 404, 0.001)
    clock.at += 60
    recorder.record()
    metrics.observe("/v1/accuracy", "GET", 200, 0.001)
    clock.at += 60
    recorder.record()
    found = rows(
        path, "select minute, route, requests, errors, within_10ms, within_100ms, within_1s from minutes"
    )
    assert found == [
        (START, ALIVE, 0, 0, 0, 0, 0),
        (START, "/v1/status", 6, 1, 3, 4, 5),
        (START + 60, ALIVE, 0, 0, 0, 0, 0),
        (START + 60, "/v1/accuracy", 1, 0, 1, 1, 1),
    ]


def test_two_writes_of_one_minute_add_up_and_workers_are_kept_apart(parts: tuple) -> None:
    metrics, recorder, _, path = parts
    other = Recorder(recorder._log, ONE, 2, metrics, lambda: True, Clock())
    for _ in range(3):
        metrics.observe("/v1/status", "GET", 200, 0.001)
        recorder.record()
    other.record()
    assert rows(path, "select worker, sum(requests) from minutes group by worker") == [(1, 3), (2, 3)]


def test_a_worker_does_not_log_again_what_the_one_that_it_replaces_has_logged(tmp_path: Path) -> None:
    shared = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def work(*statuses: str) -> str:
        command = [sys.executable, "-c", WORKER, str(tmp_path / "log.sqlite"), *statuses]
        return subprocess.run(command, env=shared, capture_output=True, text=True, check=True).stdout

    assert work("200", "200", "500") == "3"
    assert work("200", "500", "503") == "6", "what /metrics shows goes on"
    sums = "select sum(requests), sum(errors), sum(within_10ms) from minutes"
    assert rows(tmp_path / "log.sqlite", sums) == [(6, 3, 6)]


def test_an_event_loop_that_hangs_was_not_there(parts: tuple, tmp_path: Path) -> None:
    metrics, _, clock, path = parts
    hung = True
    recorder = Recorder(RequestLog(path), ONE, 1, metrics, lambda: not hung, clock)
    clock.at += 60
    recorder.record()
    assert not path.exists()
    hung = False
    clock.at += 60
    recorder.record()
    assert rows(path, "select minute from minutes") == [(START + 60,)]


def test_what_cannot_be_written_is_logged_and_written_with_the_next_minute(
    parts: tuple, caplog: pytest.LogCaptureFixture
) -> None:
    metrics, recorder, clock, path = parts
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    metrics.observe("/v1/status", "GET", 200, 0.001)
    with caplog.at_level(logging.ERROR, "assay.api"):
        recorder.record()
    assert "cannot be written" in caplog.text
    path.unlink()
    clock.at += 60
    recorder.record()
    assert rows(path, "select sum(requests) from minutes") == [(1,)]


def test_old_minutes_are_forgotten_and_the_newest_start_of_an_address_is_not(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.sqlite")
    second = Server("2-2", ONE.address, START + 60.0)
    for server in (ONE, ONE, second):
        log.begin(server)
    log.add(ONE, 1, START, {})
    log.stop(ONE, START + 30.0)
    log.add(second, 1, START + KEEP_S + 120, {})
    assert rows(log.path, "select count(*) from minutes") == [(1,)]
    assert rows(log.path, "select server from servers") == [("2-2",)]


def test_a_server_that_never_answered_leaves_no_file(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.sqlite")
    log.stop(ONE, START)
    assert not log.path.exists()
