"""A real server in a process of its own: real sockets, versions swapped while it answers, and kills."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from serving.api.keys import KeyFile
from tests.unit.serving.market import LONG_NAME, Market
from tests.unit.serving.servers import serving

pytestmark = pytest.mark.slow

NAMES = ("Apes", "a/b", LONG_NAME)


@pytest.fixture
def changing(tmp_path: Path) -> Market:
    made = Market(tmp_path / "home")
    made.open(NAMES)
    made.publish(tmp_path / "store", now=time.time())
    return made


def connection(client: httpx.Client, timeout_s: float) -> socket.socket:
    """To the server of a client, without HTTP."""
    assert client.base_url.port is not None
    return socket.create_connection(("127.0.0.1", client.base_url.port), timeout=timeout_s)


def test_a_real_server_answers_names_of_any_kind(changing: Market, tmp_path: Path) -> None:
    with serving(tmp_path / "store") as (client, process):
        for name in NAMES:
            path = f"/v1/tokens/{quote(name, safe='')}/1"
            response = client.get(path)
            assert (response.status_code, response.json()["collection"]) == (200, name)
        posted = client.post(
            "/v1/estimates:batch", json={"tokens": [{"collection": n, "token_id": "1"} for n in NAMES]}
        )
        assert [one["collection"] for one in posted.json()["estimates"]] == list(NAMES)
        assert client.get("/v1/collections/%ff").status_code == 400
        assert client.post("/v1/estimates:batch", content=iter([b"x" * 600_000] * 2)).status_code == 413
        assert client.head("/v1/tokens/Apes/1").content == b""
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_bytes_that_are_not_http_do_no_harm(changing: Market, tmp_path: Path) -> None:
    sent = (
        b"\x00" * 100, b"A" * 300_000, b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/tokens/\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n", b"POST /v1/estimates:batch HTTP/1.1\r\n",
        b"GET /v1/../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n", b"GET http://evil/ HTTP/1.1\r\nhost: x\r\n\r\n",
    )  # fmt: skip
    with serving(tmp_path / "store") as (client, process):
        for data in sent:
            with connection(client, 5) as raw:
                raw.settimeout(0.5)
                try:
                    raw.sendall(data)
                    answer = raw.recv(100_000)
                except OSError:
                    answer = b""
            assert b"Traceback" not in answer
            assert b"root:" not in answer
        assert client.get("/v1/tokens/Apes/1").status_code == 200
        assert process.poll() is None


def test_an_error_of_ours_is_in_the_log_of_the_server(changing: Market, tmp_path: Path) -> None:
    text, _ = KeyFile(tmp_path / "api").create("me", limit="edited by hand")
    with serving(tmp_path / "store") as (client, process):
        response = client.get("/v1/tokens/Apes/1", headers={"x-api-key": text})
        assert (response.status_code, response.json()["type"]) == (500, "urn:assay:problem:internal")
        assert "hand" not in response.text
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=20)[1].decode()
    assert "GET b'/v1/tokens/Apes/1' failed" in log
    assert "Traceback" in log
    assert "LimitError" in log


def test_a_client_that_stops_in_the_middle_of_its_request_is_answered_in_time(
    changing: Market, tmp_path: Path
) -> None:
    head = b"POST /v1/estimates:batch HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"
    with (
        serving(tmp_path / "store", time_limit_s=0.5) as (client, _),
        connection(client, 20) as raw,
    ):
        raw.sendall(head)
        assert client.get("/v1/tokens/Apes/1").status_code == 200
        answer = raw.recv(100_000)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"urn:assay:problem:timeout" in answer


def test_versions_swapped_under_load_give_no_failed_and_no_mixed_answer(
    changing: Market, tmp_path: Path
) -> None:
    """Every token of a version has the same as-of, so a batch that mixed two versions would show two."""
    asked = {"tokens": [{"collection": "Apes", "token_id": str(token)} for token in range(10)]}
    wrong, seen, stop = [], set(), threading.Event()

    def load(url: str) -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            while not stop.is_set():
                for response in (
                    client.get("/v1/tokens/Apes/1"),
                    client.post("/v1/estimates:batch", json=asked),
                ):
                    result = response.json()
                    times = {one["as_of"] for one in result.get("estimates", [result])}
                    if response.status_code != 200 or len(times) != 1:
                        wrong.append(response.text)
                    seen.add(result["publication"])

    with serving(tmp_path / "store") as (client, _):
        threads = [threading.Thread(target=load, args=(str(client.base_url),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        versions = set()
        for _ in range(8):
            changing.value_again(("Apes",))
            versions.add(changing.publish(tmp_path / "store", now=time.time()).version)
            time.sleep(0.2)
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(seen & versions) >= 6


def test_a_killed_server_leaves_the_store_whole(changing: Market, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()}
    for _ in range(2):
        with serving(tmp_path / "store") as (client, process):
            assert client.get("/v1/tokens/Apes/1").status_code == 200
            workers = subprocess.run(
                ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
            ).stdout.split()
            for pid in [process.pid, *map(int, workers)]:
                os.kill(pid, signal.SIGKILL)
            process.wait()
    assert {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()} == before


def answers(client: httpx.Client) -> bool:
    """Whether a server is there, asked after a moment."""
    time.sleep(0.05)
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_no_worker_outlives_a_killed_server(changing: Market, tmp_path: Path) -> None:
    with serving(tmp_path / "store") as (client, process):
        assert client.get("/healthz").status_code == 200
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert any(not answers(client) for _ in range(600))


def test_the_description_is_served_as_3_1(changing: Market, tmp_path: Path) -> None:
    with serving(tmp_path / "store") as (client, _):
        described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert json.dumps(described).count("application/problem+json") > 20
