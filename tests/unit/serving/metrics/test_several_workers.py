"""Two real workers behind one port: what they count is one number, and none of it is lost when one is killed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.metrics.worker_folder import WorkerFolder
from tests.unit.serving.market import Market
from tests.unit.serving.servers import serving

HOLDING = """
import sys, time
from pathlib import Path
from serving.metrics.worker_folder import WorkerFolder
made = WorkerFolder.make(Path(sys.argv[1]), 2)
print(made.path, made.claim(), flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    made = Market(home / "lake")
    made.open(("Apes",))
    made.publish(home / "store", now=time.time())
    return home / "store"


def series(client: httpx.Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every number of /metrics, which must be readable as Prometheus reads it."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def of_process(found: dict, name: str) -> dict[str, float]:
    return {dict(labels)["process"]: value for (series, labels), value in found.items() if series == name}


def answered(found: dict) -> float:
    return sum(
        value
        for (name, labels), value in found.items()
        if name == "assay_http_requests_total" and ("status", "404") in labels
    )


def ask(url: str, times: int) -> None:
    for _ in range(times):
        # A connection of its own: any worker may accept it.
        assert httpx.get(f"{url}/v1/collections/none").status_code == 404


@pytest.mark.slow
def test_requests_of_all_workers_are_one_sum_which_survives_a_killed_worker(store: Path) -> None:
    with serving(store, workers=2) as (client, process):
        url = str(client.base_url)
        for _ in range(200):
            before = series(client)
            pids = {
                int(text)
                for text in subprocess.run(
                    ["ps", "-o", "pid=", "--ppid", str(process.pid)],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout.split()
            }
            if len(of_process(before, "assay_api_process_cpu_seconds_total")) == 3:
                break
            time.sleep(0.05)
        ask(url, 40)
        found = series(client)
        assert answered(found) == 40
        names = {"server", "worker-1", "worker-2"}
        cpu = of_process(found, "assay_api_process_cpu_seconds_total")
        memory = of_process(found, "assay_api_process_resident_memory_bytes")
        assert set(cpu) == set(memory) == names
        assert min(cpu.values()) > 0
        assert min(memory[name] for name in ("worker-1", "worker-2")) > 20_000_000
        assert len(pids) == 2
        os.kill(pids.pop(), signal.SIGKILL)
        for _ in range(400):
            try:
                found = series(client)
            except httpx.TransportError:
                found = {}
            started = of_process(found, "assay_api_process_start_time_seconds")
            if set(started) == names and max(started.values()) > max(
                of_process(before, "assay_api_process_start_time_seconds").values()
            ):
                break
            time.sleep(0.05)
        assert set(started) == names, "the worker that replaces it has its number"
        assert answered(found) == 40
        ask(url, 5)
        found = series(client)
        assert answered(found) == 45
        assert found["assay_http_requests_underway", frozenset()] == 1, "the one that asks"
        (folder,) = (store.parent / "api" / "workers").iterdir()
        assert {path.name for path in folder.glob("counter_*.db")} == {"counter_1.db", "counter_2.db"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert list((store.parent / "api" / "workers").iterdir()) == []
    with sqlite3.connect(store.parent / "api" / "requests.sqlite") as log:
        ((stopped, requests),) = log.execute(
            "select min(stopped_at), (select sum(requests) from minutes where route = '/v1/collections/{collection}')"
            " from servers"
        )
    assert stopped > 0
    assert 5 <= requests <= 45, "what the killed worker had not written yet is not in the log"


def test_a_log_that_cannot_be_written_stops_no_server(store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "store")
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "requests.sqlite").write_bytes(b"no database" * 1000)
    with serving(tmp_path / "store") as (client, process):
        assert client.get("/v1/tokens/Apes/1").status_code == 200
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=20)[1].decode()
    assert process.returncode == 0
    assert errors.count("requests.sqlite cannot be written") >= 2, "when it began, and when it stopped"


def test_folders_of_servers_that_were_killed_are_removed_and_those_of_others_are_not(tmp_path: Path) -> None:
    def started() -> tuple[subprocess.Popen, Path, str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        path, number = process.stdout.readline().split()
        return process, Path(path), number

    killed, left, number = started()
    other, kept, _ = started()
    try:
        assert number == "1"
        assert left.exists(), "it still runs when the second one starts"
        assert WorkerFolder(left, 2).living() == {1: killed.pid}
        (left / "gauge_livesum_1.db").write_bytes(b"")
        killed.kill()
        killed.wait()
        assert WorkerFolder(left, 2).living() == {}
        assert not (left / "gauge_livesum_1.db").exists()
        made = WorkerFolder.make(tmp_path, 1)
        assert (left.exists(), kept.exists(), made.path.exists()) == (False, True, True)
        assert made.claim() == 1
    finally:
        other.kill()
        other.wait()
