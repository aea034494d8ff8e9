"""`assay mcp` on a market that was really valued: reasons, decisions and values are those of the other commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from mcp.client.client import Client

from tests.command import assay
from tests.homes import finished_market
from tests.unit.serving.mcp.assistant import Assistant, started

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_market(tmp_path_factory)[0]


def printed(home: Path, *arguments: str) -> dict[str, Any]:
    done = assay(*arguments, "--json", "--home", str(home))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_assistant_gets_what_the_commands_print(home: Path) -> None:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(started(home))) as client,
    ):
        assistant = Assistant(portal, client)
        (found,) = assistant.ask("find_collections", limit=1)["collections"]
        name = found["collection"]
        value = assistant.ask("value_token", collection=name, token_id="1")
        reasons = assistant.ask("explain_token", collection=name, token_id="1")
        why = assistant.ask("why_retrained", collection=name)
        wallet = assistant.ask("value_wallet", address=value["owner"], show=1_000)
    assert reasons["stored_estimate_eth"] == value["estimate_eth"]
    assert sum(step["eth_effect"] for step in reasons["steps"]) == pytest.approx(value["estimate_eth"])
    history = printed(home, "why", name)
    decided = [event for event in history["events"] if event["kind"] == "decision"]
    listed = [decision for decision in why["model_history"] if decision["about"] == "collection"]
    assert [decision["reason"] for decision in reversed(listed)] == [event["why"] for event in decided]
    assert [decision["numbers"] for decision in reversed(listed)] == [event["numbers"] for event in decided]
    assert listed
    portfolio = printed(home, "portfolio", "--owner", value["owner"])
    assert wallet["value_eth"] == pytest.approx(portfolio["value"]["sum_eth"])
