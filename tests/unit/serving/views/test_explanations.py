"""Reasons that are computed on demand are those of the estimate that is served, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from serving.explainer.source import ReasonSource
from serving.store.sqlite.store import SqliteStore
from serving.views.errors import ExplanationBehindError
from serving.views.tokens import computed_explanation
from tests.unit.serving.market import NAMES, PUBLISHED, Market


@pytest.mark.parametrize(("token", "estimate"), [("1", 2.0), ("11", None)])
@pytest.mark.parametrize("name", NAMES[:6])
def test_only_reasons_of_the_served_estimate_are_answered(
    folder: Path, name: str, token: str, estimate: float | None
) -> None:
    edition = SqliteStore(folder).current()

    def answered(stored: float | None) -> dict[str, object]:
        document = json.dumps({"stored_estimate_eth": stored, "steps": []}).encode()
        return json.loads(computed_explanation(edition, name, token, document, PUBLISHED + 9))

    found = answered(estimate)
    assert (found["stored_estimate_eth"], found["publication"], found["age_s"]) == (
        estimate,
        edition.pointer.version,
        9,
    )
    for other in (2.0000001, 1.0, None if estimate else 0.0):
        with pytest.raises(ExplanationBehindError, match="ask again"):
            answered(other)


def test_without_a_lake_the_problem_names_the_command_that_explains(client: TestClient) -> None:
    answer = client.get("/v1/tokens/Apes/1/explanation")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:assay:problem:not-explained")
    assert "assay explain" in answer.json()["detail"]


def test_reasons_that_cannot_be_computed_are_a_problem_to_come_back_to(
    market: Market, folder: Path, client_of: Callable[..., TestClient]
) -> None:
    with client_of(folder, reasons=ReasonSource.of_home(market.lake.config), time_limit_s=300.0) as client:
        answer = client.get("/v1/tokens/Apes/1/explanation")
        assert client.get("/v1/tokens/Apes/no/explanation").status_code == 404
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:assay:problem:not-explained-now")
    assert answer.headers["retry-after"]
    assert str(market.home) not in answer.text
