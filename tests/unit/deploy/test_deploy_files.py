"""Containers, compose, chart and units: their commands and settings exist, and each is what its own tool accepts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.output.masking import SECRET_VARIABLES
from orchestration.settings import describe_settings
from tests.command import assay
from tests.unit.deploy.conftest import DEPLOY, commands_of_units, pods, render, run_tool, units

FOLDERS = ("container", "compose", "helm", "systemd")


def test_every_variable_is_a_setting() -> None:
    known = {name for name, _, _ in describe_settings()}
    files = [file for folder in FOLDERS for file in (DEPLOY / folder).rglob("*") if file.is_file()]
    assert len(files) > 10
    found = {
        f"{file.name}: {name}"
        for file in files
        for name in re.findall(r"\bASSAY_[A-Z0-9_]+\b", file.read_text())
        if name not in known
    }
    assert not found


def test_every_command_is_one_of_assay_with_options_that_it_has(
    compose: dict[str, Any], resources: list[dict[str, Any]]
) -> None:
    ours = [one["command"] for one in compose["services"].values() if "command" in one]
    in_pods = [one["args"] for pod in pods(resources).values() for one in pod["containers"]]
    commands = {tuple(command) for command in [*ours, *in_pods, *commands_of_units()]}
    assert len(commands) >= 7
    for command in sorted(commands):
        done = assay(*command, "--help")
        assert done.returncode == 0, (command, done.stderr)
        assert "Usage" in done.stdout
    assert {tuple(command) for command in in_pods} == {tuple(command) for command in ours}, (
        "one way to start a part"
    )


def test_a_wrong_option_of_a_command_is_found() -> None:
    assert assay("ui", "--part", "daemon", "--sockets", "/run/assay/code", "--help").returncode == 2


def test_images_and_their_user_are_the_same_everywhere(
    compose: dict[str, Any], resources: list[dict[str, Any]]
) -> None:
    recipe = (DEPLOY / "container" / "Containerfile").read_text()
    (user,) = re.findall(r"^USER (\S+)$", recipe, re.MULTILINE)
    (home,) = re.findall(r"ASSAY_HOME=(\S+)", recipe)
    assert 'ENTRYPOINT ["assay"]' in recipe
    for name, service in compose["services"].items():
        if name != "database":
            assert (service["user"], service["environment"]["ASSAY_HOME"]) == (user, home), name
    for pod in pods(resources).values():
        security = pod["securityContext"]
        assert f"{security['runAsUser']}:{security['runAsGroup']}" == user
        for container in pod["containers"]:
            assert {"name": "ASSAY_HOME", "value": home} in container["env"]


def test_pods_have_no_rights_that_they_do_not_need(resources: list[dict[str, Any]]) -> None:
    for name, pod in pods(resources).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= set(container["resources"]), container["name"]
            assert "memory" in container["resources"]["limits"]
    policies = [one["spec"] for one in resources if one["kind"] == "NetworkPolicy"]
    assert len(policies) == len(pods(resources))
    for policy in policies:
        assert len(policy["ingress"][0]["ports"]) == 1


def test_one_pod_writes_and_the_old_one_ends_first(resources: list[dict[str, Any]]) -> None:
    (writer,) = [
        one
        for one in resources
        if one["kind"] == "Deployment"
        and any("code-server" in c["args"] for c in one["spec"]["template"]["spec"]["containers"])
    ]
    assert writer["spec"]["replicas"] == 1
    assert writer["spec"]["strategy"] == {"type": "Recreate"}
    chart = str(DEPLOY / "helm" / "assay")
    refused = run_tool("helm", "template", "market", chart, "--set", "pipeline.replicas=2")
    assert refused.returncode != 0
    misspelt = run_tool("helm", "template", "market", chart, "--set", "settings.DAYS=3")
    assert misspelt.returncode != 0


def test_secrets_come_from_the_named_secret_and_go_only_where_they_are_needed(
    resources: list[dict[str, Any]],
) -> None:
    taken: dict[str, set[str]] = {}
    for name, pod in pods(resources).items():
        for container in pod["containers"]:
            names = [variable["name"] for variable in container["env"]]
            assert len(names) == len(set(names))
            for variable in container["env"]:
                if variable["name"] in SECRET_VARIABLES:
                    assert variable["valueFrom"]["secretKeyRef"]["key"] == variable["name"]
                    assert variable["valueFrom"]["secretKeyRef"]["name"] == "assay"
                    taken.setdefault(name, set()).add(variable["name"])
    assert taken["api"] == taken["dashboard"] == {"ASSAY_SERVING_STORE", "ASSAY_API_LIMITS_URL"}
    assert taken["pipeline"] | taken["api"] == set(SECRET_VARIABLES)
    values = yaml.safe_load((DEPLOY / "helm" / "assay" / "values.yaml").read_text())
    assert not {*values["settings"], *values["servingSettings"]} & set(SECRET_VARIABLES)


def test_the_chart_is_what_kubernetes_accepts(rendered: str, tmp_path: Path) -> None:
    lint = run_tool("helm", "lint", "--strict", str(DEPLOY / "helm" / "assay"))
    assert lint.returncode == 0, lint.stdout
    least = render("--set", "dashboard.enabled=false,networkPolicy.enabled=false,api.replicas=1")
    for number, text in enumerate((rendered, least)):
        (tmp_path / f"{number}.yaml").write_text(text)
    files = [str(file) for file in sorted(tmp_path.glob("*.yaml"))]
    for oldest_and_newest in ("1.29.0", "1.37.0"):
        done = run_tool("kubernetes-validate", "--strict", "--no-warn", "-k", oldest_and_newest, *files)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_is_one_and_its_services_have_no_rights_that_they_do_not_need(
    compose: dict[str, Any],
) -> None:
    program = "import sys, compose_spec; compose_spec.PyCompose.from_yaml(sys.stdin.read())"
    # As compose does: the default of a variable, or what the user has given.
    text = re.sub(r"\$\{[A-Z0-9_]+:-([^}]*)\}", r"\1", yaml.safe_dump(compose, width=1000))
    text = re.sub(r"\$\{[A-Z0-9_]+(:\?[^}]*)?\}", "given", text)
    done = run_tool("python", "-c", program, text=text)
    assert done.returncode == 0, done.stderr
    wrong = run_tool("python", "-c", program, text=text.replace("read_only:", "readonly:"))
    assert wrong.returncode != 0
    for name, service in compose["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if name != "database":
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
    text = (DEPLOY / "compose" / "compose.yaml").read_text()
    example = (DEPLOY / "compose" / "env.example").read_text()
    needed = set(re.findall(r"\$\{([A-Z0-9_]+):\?", text))
    assert needed == set(re.findall(r"^([A-Z0-9_]+)=", example, re.MULTILINE))


def test_the_containerfile_has_nothing_to_complain_about() -> None:
    done = run_tool("hadolint", "--failure-threshold", "style", str(DEPLOY / "container" / "Containerfile"))
    assert done.returncode == 0, done.stdout


def test_what_the_containerfile_copies_exists_and_is_not_ignored() -> None:
    root = DEPLOY.parent
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "container" / "Containerfile").read_text(), re.MULTILINE
    )
    sources = {name for line in copied for name in line.split()}
    kept = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sources == kept
    assert all((root / name).exists() for name in sources)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_units_are_ones_and_are_confined(tmp_path: Path) -> None:
    timers = sorted((DEPLOY / "systemd").glob("*.timer"))
    for file in [*units(), *timers]:
        # The program is somewhere else on this machine.
        text = file.read_text().replace("/opt/assay/.venv/bin/assay", shutil.which("true") or "/bin/true")
        (tmp_path / file.name).write_text(text)
    copies = [str(file) for file in sorted(tmp_path.iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", *copies], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for file in units():
        grade = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(tmp_path / file.name)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert grade.returncode == 0, grade.stdout[-300:]
