"""A real Prometheus scrapes a real API and a real exporter: every query of every dashboard and every rule works there.

Also a real Alertmanager, whose alert arrives in the channel of Assay's own alerts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from tests.unit.deploy.test_files import DEPLOY, tool
from tests.unit.orchestration.exporter.monitored_home import monitored_home
from tests.unit.serving.servers import free_port

pytestmark = pytest.mark.slow

ASSAY = (sys.executable, "-c", "from orchestration.cli.app import main; main()")
MAY_BE_EMPTY = {
    "Errors by route": "a server without errors has none",
    "Since a run succeeded": "no run was made in this home",
    "Runs by status": "no run was made in this home",
    "Open incidents": "no alert was ever raised in this home",
    "Messages that have not arrived": "no alert was ever raised in this home",
    "Below the objective": "every service level is kept",
    "Collections that failed or are set aside: set aside": "none is",
}
SCRAPES = 6
"""After these each rate has enough samples."""


@dataclass(frozen=True)
class Running:
    prometheus: httpx.Client
    alertmanager: httpx.Client
    api: httpx.Client
    home: Path


@contextmanager
def process(*command: str, **variables: str) -> Iterator[subprocess.Popen]:
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **variables})
    try:
        yield started
    finally:
        started.terminate()
        started.wait(30)


def until(found: Callable[[], object], process: subprocess.Popen | None = None) -> None:
    """Wait up to two minutes of a busy machine."""
    for _ in range(1200):
        assert process is None or process.poll() is None, "the process has ended"
        try:
            if found():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("expected it within two minutes")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    for name in ("prometheus", "prometheus-alertmanager"):
        tool(name)
    folder = tmp_path_factory.mktemp("deploy")
    home = folder / "home"
    shutil.copytree(monitored_home(tmp_path_factory).home_path, home)
    ports = {name: free_port() for name in ("api", "metrics", "prometheus", "alertmanager")}
    configure(folder, ports)
    with ExitStack() as stack:
        start = stack.enter_context
        api = start(process(*ASSAY, "serve", "--home", str(home), "--port", str(ports["api"])))
        start(
            process(*ASSAY, "metrics", "--home", str(home), "--port", str(ports["metrics"]), "--every", "1")
        )
        start(
            process(
                "prometheus", f"--config.file={folder}/prometheus/prometheus.yml",
                f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
                "--log.level=error",
            )
        )  # fmt: skip
        start(
            process(
                "prometheus-alertmanager", f"--config.file={folder}/alertmanager/alertmanager.yml",
                f"--storage.path={folder}/alerts", f"--web.listen-address=127.0.0.1:{ports['alertmanager']}",
                "--cluster.listen-address=", "--log.level=error",
            )
        )  # fmt: skip
        clients = {
            name: start(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30))
            for name, port in ports.items()
        }
        until(lambda: clients["api"].get("/healthz").status_code == 200, api)
        until(lambda: 'part="lake"} 1.0' in clients["metrics"].get("/metrics").text)
        for path in ("/v1/tokens/Apes/1", "/v1/status", "/v1/collections", "/v1/wallets/0x1") * 3:
            clients["api"].get(path)

        def is_scraped() -> bool:
            clients["api"].get("/v1/tokens/Apes/1")
            found = query(clients["prometheus"], "min(sum_over_time(up[10m])) and on () count(up) == 2")
            return bool(found) and float(found[0]["value"][1]) >= SCRAPES

        until(is_scraped)
        yield Running(clients["prometheus"], clients["alertmanager"], clients["api"], home)


def configure(folder: Path, ports: dict[str, int]) -> None:
    """The files of deploy/ with these ports, and with seconds in place of minutes."""
    shutil.copytree(DEPLOY / "prometheus", folder / "prometheus")
    path = folder / "prometheus" / "prometheus.yml"
    config = yaml.safe_load(path.read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job, name in zip(config["scrape_configs"], ("api", "metrics"), strict=True):
        job["static_configs"][0]["targets"] = [f"127.0.0.1:{ports[name]}"]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [
        f"127.0.0.1:{ports['alertmanager']}"
    ]
    path.write_text(yaml.safe_dump(config))
    (folder / "alertmanager").mkdir()
    routes = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    routes["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    routes["receivers"][0]["webhook_configs"][0]["url"] = f"http://127.0.0.1:{ports['metrics']}/alertmanager"
    (folder / "alertmanager" / "alertmanager.yml").write_text(yaml.safe_dump(routes))


def query(prometheus: httpx.Client, expression: str) -> list[dict]:
    answer = prometheus.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
    return answer["data"]["result"]


def panels() -> list[tuple[str, str, str]]:
    """(dashboard, title, query) of each line of each graph; a second line is named by its legend, too."""
    found = []
    for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for number, target in enumerate(panel.get("targets", [])):
                title = panel["title"] + (f": {target['legendFormat'].partition(':')[0]}" if number else "")
                found.append((path.stem, title, target["expr"].replace("$__rate_interval", "1m")))
    return found


def test_every_query_of_every_dashboard_works_and_has_data(running: Running) -> None:
    asked = panels()
    assert len(asked) >= 50
    empty = [f"{name}: {title}" for name, title, text in asked if not query(running.prometheus, text)]
    unexpected = [one for one in empty if one.partition(": ")[2] not in MAY_BE_EMPTY]
    assert not unexpected


def test_every_rule_is_evaluated_without_an_error(running: Running) -> None:
    groups = running.prometheus.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) >= 40
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
    for name in ("assay:http_requests:rate5m", "assay:bad:ratio_1h", "assay:burn:ratio_3d"):
        assert query(running.prometheus, name), f"{name} has no data"
    judged = {"api_up", "api_answers", "api_fast"}
    until(
        lambda: judged == {row["metric"]["slo"] for row in query(running.prometheus, "assay:burn:ratio_1h")}
    )


def test_every_metric_of_the_alerts_is_one_that_is_scraped(running: Running) -> None:
    """A misspelt name is a valid expression that never fires."""
    scraped = set(running.prometheus.get("/api/v1/label/__name__/values").json()["data"])
    later = {"assay_run_success_timestamp_seconds", "assay_undelivered_messages"}
    text = (DEPLOY / "prometheus" / "alerts.yml").read_text() + (
        DEPLOY / "prometheus" / "recording.yml"
    ).read_text()
    named = set(re.findall(r"\bassay_[a-z_]+\b(?=[{\[ )])", text))
    assert len(named) > 10
    assert named - scraped <= later


def test_an_alert_reaches_the_channel_of_assays_own_alerts_and_so_does_its_end(running: Running) -> None:
    alert = {
        "labels": {"alertname": "ApiDown", "severity": "page", "instance": "x"},
        "annotations": {
            "summary": "The API does not answer",
            "runbook": "api-down",
            "command": "assay serve",
        },
    }
    log = running.home / "alerts.log"
    running.alertmanager.post("/api/v2/alerts", json=[alert]).raise_for_status()
    until(lambda: log.exists() and "The API does not answer" in log.read_text())
    first = json.loads(log.read_text().splitlines()[0])
    assert first["severity"] == "page"
    assert first["runbook"] == "docs/runbook/api-down.md"
    ended = {**alert, "endsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))}
    running.alertmanager.post("/api/v2/alerts", json=[ended]).raise_for_status()
    until(lambda: len(log.read_text().splitlines()) == 2)
    assert json.loads(log.read_text().splitlines()[1])["kind"] == "resolved"
