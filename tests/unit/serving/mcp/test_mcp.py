"""`assay mcp` as an assistant sees it: a real client over standard input and output of a real process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp.client.client import Client

from orchestration.home import prepare_home
from orchestration.settings import load_settings
from serving.store.sqlite.store import SqliteEdition, SqliteStore
from tests.names import HOSTILE
from tests.unit.serving.market import CONTRACT, LONG_NAME, NOW, SHARED_CONTRACT, WHALE, Market
from tests.unit.serving.mcp.assistant import Assistant, started

NAMES = ("Apes", "Bored Apes", "🦍🍌", LONG_NAME, *HOSTILE)
TOOLS = {
    *("value_token", "value_tokens", "value_wallet", "explain_token"),
    *("find_collections", "describe_collection", "why_retrained", "accuracy", "status"),
}
LOG = "insert into ops.decision_log by name select "


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mcp")
    prepare_home(load_settings(home=folder))
    market = Market(folder)
    market.open(NAMES)
    earlier = NOW - timedelta(days=7)
    market.change(
        f"{LOG} 'Apes' as collection, timestamp '{NOW}' as decided_at, 'r2' as run_id, 'rejected' as action, "
        "'champion_better' as rule, 'no better' as reason, '{\"n\": 31, \"odd\": NaN}' as numbers, "
        "'Apes@2' as challenger, 'Apes@1' as champion",
        f"{LOG} 'Apes' as collection, timestamp '{earlier}' as decided_at, 'r1' as run_id, 'promoted' as action, "
        "'beats_baselines' as rule, 'better' as reason, '{}' as numbers, 'Apes@1' as challenger, 'Apes@0' as champion",
        f"{LOG} '(pooled prior) ethereum' as collection, timestamp '{earlier}' as decided_at, 'r0' as run_id, "
        "'refitted' as action, 'due' as rule, 'new features' as reason, 'p1' as challenger",
        f"insert into ops.decision_effects by name select 'Apes' as collection, timestamp '{earlier}' as decided_at, "
        f"'r1' as run_id, 'promoted' as action, timestamp '{NOW}' as measured_at, 25 as n_before, 0.2 as mdape_before, "
        "0.3 as med_5_before, 24 as n_after, 0.1 as mdape_after, 0.25 as med_5_after, -2.0 as z, 'helped' as verdict",
        "insert into ops.retrain_queue by name select 'Apes' as collection, 'retrain' as kind, 'error rose' as reason, "
        f"1.0 as value_eth, 0.1 as severity, 0.1 as priority, timestamp '{NOW}' as first_seen, "
        f"timestamp '{NOW}' as last_seen, 1 as attempts, 'queued' as state",
    )
    market.publish(folder / "serving", now=time.time())
    return folder


@pytest.fixture(scope="module")
def assistant(home: Path, portal: BlockingPortal) -> Iterator[Assistant]:
    with portal.wrap_async_context_manager(Client(started(home))) as client:
        yield Assistant(portal, client)


@pytest.fixture
def edition(home: Path) -> SqliteEdition:
    return SqliteStore(home / "serving").current()


def test_every_tool_reads_only_and_describes_its_answer(assistant: Assistant) -> None:
    tools = assistant.tools()
    assert {tool.name for tool in tools} == TOOLS
    for tool in tools:
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.annotations.destructive_hint is False
        assert tool.description
        assert {"as_of", "age_s", "stale", "publication"} <= set(tool.output_schema["required"])


def test_a_token_has_the_published_figures(assistant: Assistant, edition: SqliteEdition) -> None:
    (found,) = edition.resolve("Apes")
    published = json.loads(edition.token(found.id, "3") or b"")
    answer = assistant.ask("value_token", collection=CONTRACT, token_id="3")
    assert answer["age_s"] >= 0
    assert not answer["stale"]
    assert answer.items() >= {**published, "publication": edition.pointer.version}.items()
    assert answer["interval_80_eth"] == published["interval_80_eth"]
    unvalued = assistant.ask("value_token", collection="Apes", token_id="11")
    assert (unvalued["estimate_eth"], unvalued["no_value_reason"]) == (None, "fewer_than_3_sales")


def test_a_sum_is_over_all_positions_however_few_are_shown(assistant: Assistant) -> None:
    whole = assistant.ask("value_wallet", address=WHALE.upper().replace("0X", "0x"))
    part = assistant.ask("value_wallet", address=WHALE, show=3)
    assert whole["tokens"] == len(whole["positions"]) == 2 * len(NAMES)
    assert (len(part["positions"]), part["positions_left_out"]) == (3, whole["tokens"] - 3)
    for name in ("value_eth", "interval_80_eth", "interval_method", "as_of"):
        assert part[name] == whole[name] is not None
    assert whole["value_eth"] == pytest.approx(sum(p["expected_eth"] for p in whole["positions"]))
    listed = assistant.ask(
        "value_tokens",
        tokens=[
            {"collection": "Apes", "token_id": "1"},
            {"collection": "Apes", "token_id": "4"},
            {"collection": "nobody", "token_id": "1"},
            {"collection": SHARED_CONTRACT, "token_id": "1"},
        ],
    )
    assert [p["token_id"] for p in listed["positions"]] == ["4", "1"]
    assert [m["reason"] for m in listed["without_value"]] == ["unknown-collection", "ambiguous-collection"]


@pytest.mark.parametrize("name", [*HOSTILE, LONG_NAME])
def test_a_hostile_name_is_data(assistant: Assistant, name: str) -> None:
    assert assistant.ask("value_token", collection=name, token_id="1")["collection"] == name
    found = assistant.ask("find_collections", text=name, limit=100)
    assert name in [each["collection"] for each in found["collections"]]


def test_collections_are_found_by_a_part_of_their_name(assistant: Assistant) -> None:
    found = assistant.ask("find_collections", text="aPeS")
    assert {each["collection"] for each in found["collections"]} == {"Apes", "Bored Apes"}
    assert assistant.ask("find_collections", text=CONTRACT.upper())["found"] == 1
    assert assistant.ask("find_collections", text="no such")["collections"] == []
    first = assistant.ask("find_collections", limit=2)
    assert (len(first["collections"]), first["found"]) == (2, len(NAMES))
    assert all(each["as_of"] for each in first["collections"])


def test_why_a_model_was_retrained(assistant: Assistant) -> None:
    why = assistant.ask("why_retrained", collection="Apes")
    listed = [(d["about"], d["action"], d["candidate"], d["model_before"]) for d in why["model_history"]]
    assert listed == [
        ("collection", "rejected", "Apes@2", "Apes@1"),
        ("collection", "promoted", "Apes@1", "Apes@0"),
        ("market", "refitted", "p1", None),
    ]
    assert why["model_history"][0]["numbers"] == {"n": 31, "odd": None}
    assert why["model_history"][0]["effect"] is None
    assert why["model_history"][1]["effect"]["verdict"] == "helped"
    assert (why["retraining"]["reason"], why["retraining"]["state"]) == ("error rose", "queued")
    assert why == {
        name: value
        for name, value in assistant.ask("describe_collection", collection="Apes").items()
        if name in why
    } | {"age_s": why["age_s"]}
    assert assistant.ask("why_retrained", collection="🦍🍌")["retraining"] is None


def test_accuracy_and_status_are_those_of_the_store(assistant: Assistant, edition: SqliteEdition) -> None:
    published = json.loads(edition.document("accuracy") or b"")
    assert assistant.ask("accuracy")["walk_forward"] == published["walk_forward"]
    status = assistant.ask("status")
    assert status["store"]["version"] == edition.pointer.version
    assert status["estimates"]["collections"] == len(NAMES)


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        (
            "value_token",
            {"collection": "nobody", "token_id": "1"},
            ("unknown-collection", 'found "nobody"', "list"),
        ),
        ("value_token", {"collection": "Apes", "token_id": "99"}, ("unknown-token", "99", "ids")),
        (
            "value_token",
            {"collection": SHARED_CONTRACT, "token_id": "1"},
            ("ambiguous", "Bored Apes", "by=name"),
        ),
        ("value_wallet", {"address": "0x0"}, ("unknown-wallet", "expected an address")),
        ("value_tokens", {"tokens": []}, ("tokens", "at least 1")),
        ("value_token", {"collection": "Apes"}, ("token_id", "required")),
        ("find_collections", {"limit": 1_000_000}, ("limit", "100")),
        ("explain_token", {"collection": "Apes", "token_id": "1"}, ("not available", "no token")),
        ("drop_tables", {}, ("drop_tables",)),
    ],
)
def test_an_error_gives_what_to_do(
    assistant: Assistant, tool: str, arguments: dict[str, Any], expected: tuple[str, ...]
) -> None:
    message = assistant.refusal(tool, **arguments)
    for part in expected:
        assert part in message
    assert "Traceback" not in message
    assert "GET /" not in message
    assert assistant.ask("status")
