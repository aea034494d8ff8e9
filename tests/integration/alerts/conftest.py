from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.alerts.outbox import Alert
from orchestration.alerts.store import Outbox
from orchestration.states import Severity
from tests.integration.alerts.endpoint import Endpoint, serving


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving() as state:
        yield state


@pytest.fixture
def second_endpoint() -> Iterator[Endpoint]:
    with serving() as state:
        yield state


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox.of(tmp_path)


@pytest.fixture
def alert() -> Callable[..., Alert]:
    def build(key: str = "slo/raw_sales_fresh", severity: str = "page", **changed: Any) -> Alert:
        texts: dict[str, Any] = {
            "title": f"{key} is burning",
            "body": "14.4 times the budget in the last hour.",
            "runbook": "run-failed",
            "command": "assay status",
        }
        return Alert(key=key, severity=Severity(severity), **{**texts, **changed})

    return build
