"""The files of deploy/ are valid, agree with the service levels and the runbooks, and the rules do what they say."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from orchestration.slo.definitions import load_slos
from orchestration.states import Severity

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
TESTS = sorted((DEPLOY / "prometheus").glob("tests*.yml"))
RULES = ("recording.yml", "alerts.yml")


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: prometheus, prometheus-alertmanager)")
    return found


def checked(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict]:
    return [
        rule
        for name in RULES
        for group in yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["groups"]
        for rule in group["rules"]
    ]


def dashboards_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "write_dashboards", DEPLOY / "grafana" / "write_dashboards.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_configuration_and_rules_are_valid() -> None:
    checked(tool("promtool"), "check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))
    checked(tool("amtool"), "check-config", str(DEPLOY / "alertmanager" / "alertmanager.yml"))


@pytest.mark.slow
def test_the_rules_fire_when_they_should_and_not_otherwise() -> None:
    checked(tool("promtool"), "test", "rules", *map(str, TESTS))


def test_every_alert_is_tested_and_has_a_severity_and_a_runbook() -> None:
    tested = "".join(path.read_text() for path in TESTS)
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) >= 10
    for rule in alerts:
        assert rule["alert"] in tested, f"{rule['alert']} has no test"
        assert Severity(rule["labels"]["severity"]) in (Severity.PAGE, Severity.TICKET)
        assert (ROOT / "docs" / "runbook" / f"{rule['annotations']['runbook']}.md").exists()
        assert rule["annotations"]["command"]


def test_prometheus_judges_the_api_by_the_objectives_of_its_service_levels() -> None:
    written = {
        rule["labels"]["slo"]: float(re.findall(r"vector\((.+)\)", rule["expr"])[0])
        for rule in rules()
        if rule.get("record") == "assay:objective:ratio"
    }
    promised = {slo.name: slo.objective for slo in load_slos() if slo.name.startswith("api_")}
    assert written == promised
    names = {rule["labels"]["slo"] for rule in rules() if rule.get("record") == "assay:bad:ratio_1h"}
    assert names == set(promised)


def test_the_dashboards_are_what_their_script_writes() -> None:
    texts = dashboards_module().texts()
    assert {path.name for path in (DEPLOY / "grafana" / "dashboards").iterdir()} == set(texts)
    for name, text in texts.items():
        assert (DEPLOY / "grafana" / "dashboards" / name).read_text() == text, (
            "run python deploy/grafana/write_dashboards.py"
        )
