"""The files of deploy/, read once, and the tools that check them; a test that needs a missing tool skips."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / ".venv" / "deploy-tools" / "bin"


def run_tool(name: str, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    if not (TOOLS / name).exists():
        pytest.skip(f"{name} is not installed: make deploy-tools")
    return subprocess.run(
        [TOOLS / name, *arguments], capture_output=True, text=True, cwd=ROOT, input=text, check=False
    )


def render(*arguments: str) -> str:
    done = run_tool("helm", "template", "market", str(DEPLOY / "helm" / "assay"), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def rendered() -> str:
    """The chart with every part that can be left out."""
    return render("--set", "ray.address=ray-head:6379,api.keysSecret=keys,settings.ASSAY_DATA_PATH=s3://b/p")


@pytest.fixture(scope="session")
def resources(rendered: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(rendered) if one]


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    return found


def pods(resources: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The specification of each deployment's pod, by the component."""
    return {
        one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]: one["spec"]["template"]["spec"]
        for one in resources
        if one["kind"] == "Deployment"
    }


def units() -> list[Path]:
    return sorted((DEPLOY / "systemd").glob("*.service"))


def commands_of_units() -> list[list[str]]:
    lines = [line for unit in units() for line in unit.read_text().splitlines()]
    started = [line.partition("=")[2].split() for line in lines if line.startswith("ExecStart=")]
    assert all(command[0] == "/opt/assay/.venv/bin/assay" for command in started)
    return [command[1:] for command in started]
