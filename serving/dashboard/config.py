"""The settings of the dashboard. Here: the values. Not here: where they come from (`orchestration.settings`)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from serving.explainer.source import ReasonSource


@dataclass(frozen=True)
class DashboardConfig:
    """Settings of one dashboard.

    Attributes:
        folder: Folder of the store.
        store_url: Address of a store in PostgreSQL, used in place of the folder; empty: the folder.
        host: Address to bind.
        port: Port to bind.
        refuse_after_s: Age of the data in seconds beyond which nothing is shown.
        reasons: Where reasons that are not published are computed from; None: nowhere.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8501
    refuse_after_s: float = 30 * 86_400.0
    # The addresses of a database and of a catalog may hold a password.
    store_url: str = field(default="", repr=False)
    reasons: ReasonSource | None = field(default=None, repr=False)

    def to_json(self) -> str:
        """As text, for the process of the dashboard."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> DashboardConfig:
        """What `to_json` wrote."""
        found: dict[str, Any] = json.loads(text)
        return cls(
            **{
                **found,
                "folder": Path(found["folder"]),
                "reasons": ReasonSource.of_values(found["reasons"]),
            }
        )
