"""A secret that is planted in every setting is nowhere in what was printed, written or sent."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import dagster as dg
import psutil
import pytest

from benchmarks.planted_secrets import ASSAY, FAILING, SECRETS, found_in, planted, run_commands
from orchestration.alerts.configured_channels import open_channels
from orchestration.alerts.dagster_events import run_failure_alert
from orchestration.alerts.delivery import deliver
from orchestration.alerts.outbox import raise_alert
from orchestration.alerts.store import Outbox
from orchestration.definitions import build_defs
from orchestration.home import open_instance, prepare_home
from orchestration.output.masking import SECRET_VARIABLES, masked
from orchestration.resources import open_registry
from orchestration.settings import Settings, SettingsError, load_settings
from tests.unit.serving.servers import free_port

PASSWORDS = tuple(SECRETS.values())


def _environment(home: Path, port: int = 1, alerts: str = "json://127.0.0.1:1/") -> dict[str, str]:
    return {
        "ASSAY_HOME": str(home),
        "ASSAY_COLLECTIONS": "2",
        "ASSAY_DAYS": "40",
        "ASSAY_LOG_LEVEL": "DEBUG",
        **planted(port, alerts),
    }


def _nowhere(home: Path, *printed: str) -> None:
    assert not found_in(home, printed)


@pytest.mark.slow
def test_commands_that_fail_print_and_write_no_secret(tmp_path, endpoint):
    home = tmp_path / "home"
    environment = _environment(home, alerts=endpoint.url)
    printed = run_commands(FAILING, environment)
    assert "Connection refused" in printed[1], "expected the run to fail at the catalog"
    assert (home / "alerts.db").exists()
    assert endpoint.seen
    _nowhere(home, *printed, json.dumps(endpoint.seen))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ASSAY_CATALOG_URL", "mysql://u:Pl4nted@host/db"),
        ("ASSAY_CATALOG_URL", "postgresql://u:Pl4n@ted/Pl4nted@host:x/db"),
        ("ASSAY_CATALOG_URL", "postgresql://u:Pl4nted/w?rd@host/db"),
        ("ASSAY_CATALOG_URL", "postgresql://u@host:Pl4nted/db"),
        ("ASSAY_CATALOG_URL", "Pl4nted"),
        ("ASSAY_DEADMAN_URL", "ftp://Pl4nted@host/Pl4nted"),
    ],
)
def test_a_wrong_secret_setting_is_named_and_not_repeated(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable) as failure:
        load_settings()
    assert failure.value.__cause__ is None
    assert "Pl4n" not in str(failure.value)


def test_no_text_of_the_settings_shows_a_secret_and_a_child_process_gets_them(monkeypatch, tmp_path):
    for name, value in _environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    for text in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.lake_config())):
        assert "Pl4nted" not in unquote(text)
    environment = settings.as_environment()
    assert {name: environment[name] for name in _environment(tmp_path)} == _environment(tmp_path)


def test_a_run_that_fails_with_a_secret_leaves_it_in_no_history_and_no_alert(
    monkeypatch, tmp_path, endpoint, capfd
):
    """The error holds every secret, plain and encoded."""
    home = tmp_path / "home"
    for name, value in _environment(home, alerts=endpoint.url).items():
        monkeypatch.setenv(name, value)
    load_settings()  # learns them all
    monkeypatch.delenv("ASSAY_DAGSTER_URL")  # no server: the history is in files
    settings = load_settings()
    prepare_home(settings)
    secrets = " ".join([*PASSWORDS, *(f"{value!r}" for value in _environment(home).values())])

    @dg.op
    def fails(context):
        context.log.info(f"about to use {secrets}")
        try:
            raise ConnectionError(secrets)  # noqa: TRY301 - a chain is what is tested
        except ConnectionError as error:
            raise RuntimeError(f"could not connect: {secrets}") from error

    @dg.job(logger_defs=build_defs(settings).loggers, executor_def=dg.in_process_executor)
    def failing() -> None:
        fails()

    now = datetime.fromisoformat("2026-03-01T12:00:00")
    with open_instance(settings) as instance:
        config = {"loggers": {"console": {"config": {"log_level": "DEBUG"}}}}
        result = failing.execute_in_process(instance=instance, run_config=config, raise_on_error=False)
        assert not result.success
        raise_alert(Outbox.of(home), run_failure_alert(result.dagster_run, f"failed: {secrets}"), now)
    logging.getLogger("orchestration.test").warning("%s", masked(secrets))
    deliver(Outbox.of(home), open_channels(settings), now)
    assert len(endpoint.seen) == 1
    printed = capfd.readouterr()
    assert "could not connect" in printed.err + printed.out
    assert (home / "alerts.log").exists()
    _nowhere(home, printed.out, printed.err, json.dumps(endpoint.seen))


def test_the_registry_is_not_given_the_password_in_its_address(monkeypatch, tmp_path):
    for name, value in _environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "")
    open_registry.cache_clear()
    assert "Pl4nted" not in str(vars(open_registry(load_settings())))
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == PASSWORDS[1]
    open_registry.cache_clear()


@pytest.mark.slow
def test_the_list_of_processes_shows_no_secret(tmp_path):
    home = tmp_path / "home"
    environment = {**os.environ, **_environment(home)}
    del environment["ASSAY_DAGSTER_URL"]  # no server answers there, and nothing would be started
    started = subprocess.Popen(
        [ASSAY, "ui", "--port", str(free_port())],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    parts = ["dagster_webserver", "dagster._daemon", "grpc"]
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for process in psutil.Process(started.pid).children(recursive=True):
                # One may end between the two questions.
                with suppress(psutil.NoSuchProcess):
                    lines.append(" ".join(process.cmdline()))
            if all(any(part in line for line in lines) for part in parts):
                break
            time.sleep(0.5)
    finally:
        started.terminate()
        printed, _ = started.communicate(timeout=60)
    assert [part for part in parts if any(part in line for line in lines)] == parts
    _nowhere(home, *lines, printed)


def test_every_setting_that_may_hold_a_secret_is_masked_and_planted():
    secret = {
        f"ASSAY_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    assert secret == set(SECRET_VARIABLES) == set(SECRETS)


def test_the_search_finds_what_is_there(tmp_path):
    (tmp_path / "log").write_bytes(b"\x00\xffPL4NTED-x")
    assert len(found_in(tmp_path, ["clean", "Pl4nt%65d"])) == 2
