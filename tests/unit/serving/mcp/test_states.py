"""`assay mcp` without a store, with one that is old or damaged, without its package, and what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from mcp.client.client import Client

from orchestration.home import prepare_home
from orchestration.settings import load_settings
from serving.store.files import POINTER, read_pointer
from tests.unit.serving.market import Market
from tests.unit.serving.mcp.assistant import COMMAND, Assistant, started

pytestmark = pytest.mark.slow

DAY_S = 86_400.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    prepare_home(load_settings(home=tmp_path))
    return tmp_path


def test_a_store_that_is_missing_stale_damaged_or_too_old_is_reported_as_such(home: Path) -> None:
    market, store = Market(home), home / "serving"
    market.open(("Apes",))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(started(home))) as client,
    ):
        assistant = Assistant(portal, client)
        asked = {"collection": "Apes", "token_id": "1"}
        assert "assay run" in assistant.refusal("value_token", **asked)
        market.publish(store, now=time.time() - 2 * DAY_S)
        time.sleep(1.1)  # what was refused is looked at again after a second
        old = assistant.call("value_token", **asked)
        assert old.structured_content["stale"]
        assert old.structured_content["age_s"] >= 2 * DAY_S
        assert "48.0 h old" in old.content[1].text
        pointer = read_pointer(store)
        (store / POINTER).write_text("{")
        assert assistant.ask("value_token", **asked)["publication"] == pointer.version
        assert "publish again" in assistant.ask("status")["store"]["refused"]
        market.value_again(("Apes",))
        market.publish(store, now=time.time() - 40 * DAY_S)
        time.sleep(1.1)
        assert "at most 720 h old" in assistant.refusal("value_token", **asked)


def test_nothing_but_the_protocol_is_printed(home: Path) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "mcp", "--home", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("no protocol\n" + json.dumps(hello) + "\n")
    process.stdin.flush()
    lines = [process.stdout.readline()]
    while "result" not in json.loads(lines[-1]):  # about the line that is no protocol
        lines.append(process.stdout.readline())
    rest, log = process.communicate(timeout=60)  # the input ends, and so does the server
    answers = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    assert answers[-1]["result"]["serverInfo"]["name"] == "assay"
    assert process.returncode == 0
    assert "waits for its client" in log


def test_without_its_package_one_sentence_explains_how_to_install_it(home: Path) -> None:
    absent = f"import sys; sys.modules['mcp'] = None; {COMMAND}"
    done = subprocess.run(
        [sys.executable, "-c", absent, "mcp", "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "assay: expected the package mcp, found it missing; `make setup` or `pip install 'assay[mcp]'` installs it"
    ]


def test_a_folder_that_is_no_home_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "mcp", "--home", str(tmp_path / "nothing")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "no Assay home" in done.stderr
