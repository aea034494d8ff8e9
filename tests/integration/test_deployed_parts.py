"""The parts of a deployment, started with the very commands of the chart and asked by its probes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from orchestration.home import prepare_home
from orchestration.orphaned_runs import answers
from orchestration.settings import load_settings
from tests.command import assay
from tests.unit.serving.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
ASSAY = [sys.executable, "-c", "from orchestration.cli.app import main; main()"]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose" / "compose.yaml").read_text())

pytestmark = pytest.mark.slow


def command(part: str, **replaced: str) -> list[str]:
    """The command of a service, with ports and folders of this test."""
    return [replaced.get(word, word) for word in COMPOSE["services"][part]["command"]]


@contextmanager
def started(folder: Path, *commands: list[str], **variables: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    with (folder / "output.log").open("wb") as log:
        processes = [
            subprocess.Popen(
                [*ASSAY, *one],
                env={**environment, "PYTHONPATH": str(ROOT), **variables},
                cwd=folder,
                stdout=log,
                stderr=log,
            )
            for one in commands
        ]
        try:
            yield processes
        finally:
            for process in processes:
                process.terminate()
            codes = [process.wait(120) for process in processes]
    assert set(codes) <= {0, 143}, (folder / "output.log").read_text()[-3000:]


def status(url: str) -> int:
    try:
        return httpx.get(url, timeout=30).status_code
    except httpx.HTTPError:
        return 0


def wait_until(happened: Callable[[], bool], processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    for _ in range(900):
        assert all(p.poll() is None for p in processes), (folder / "output.log").read_text()[-3000:]
        if happened():
            return
        time.sleep(0.2)
    raise AssertionError("it has not happened: " + (folder / "output.log").read_text()[-3000:])


def test_code_server_and_web_server_find_each_other_also_after_a_kill(tmp_path: Path) -> None:
    home = tmp_path / "home"
    prepare_home(load_settings(home=home, collections=3, days=20))
    socket, port = tmp_path / "code", str(free_port())
    # What a killed code server leaves: a socket at which nobody answers.
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])",
            str(socket),
        ],
        check=True,
    )
    given: dict[str, Any] = {"/run/assay/code": str(socket), "3000": port, "0.0.0.0": "127.0.0.1"}
    code, web = command("code-server", **given), command("web-server", **given)
    query = {"query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } } }"}

    def jobs() -> set[str]:
        try:
            answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json=query, timeout=60).json()
        except (httpx.HTTPError, ValueError):
            return set()
        nodes = answer["data"]["repositoriesOrError"].get("nodes", [])
        return {job["name"] for node in nodes for job in node["jobs"]}

    with started(tmp_path, code, ASSAY_HOME=str(home)) as servers:
        wait_until(lambda: socket.is_socket() and answers(str(socket)), servers, tmp_path)
        second = assay(*code, "--home", str(home))
        assert second.returncode == 2
        assert "expected no other code server" in second.stderr
        (tmp_path / "web").mkdir()
        with started(tmp_path / "web", web, ASSAY_HOME=str(home)) as shown:
            wait_until(lambda: "everything" in jobs(), [*servers, *shown], tmp_path / "web")
            assert status(f"http://127.0.0.1:{port}/server_info") == 200


def test_the_api_and_the_dashboard_start_without_a_home_and_wait_for_their_database(tmp_path: Path) -> None:
    api, dashboard, unused = str(free_port()), str(free_port()), free_port()
    here: dict[str, Any] = {"8000": api, "8501": dashboard, "0.0.0.0": "127.0.0.1"}
    commands = [command("api", **here), command("dashboard", **here)]
    store = f"postgresql://assay:secret@127.0.0.1:{unused}/assay"
    home = str(tmp_path / "home")
    with started(
        tmp_path, *commands, ASSAY_HOME=home, ASSAY_SERVING_STORE=store, ASSAY_API_EXPLAIN="false"
    ) as both:
        wait_until(lambda: status(f"http://127.0.0.1:{api}/healthz") == 200, both, tmp_path)
        assert status(f"http://127.0.0.1:{api}/readyz") == 503
        wait_until(lambda: status(f"http://127.0.0.1:{dashboard}/_stcore/health") == 200, both, tmp_path)
    assert "secret" not in (tmp_path / "output.log").read_text()
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0
