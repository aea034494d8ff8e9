"""Conventions of all assets: owners, the writer pool, column schemas in the UI, incidents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg

from ml.text.markdown import markdown_prose

if TYPE_CHECKING:
    from orchestration.alerts.outbox import Synchronised

DATA_TEAM = ["team:data-engineering"]
MODEL_TEAM = ["team:valuation"]
# One slot: DuckLake takes one writer at a time (dagster.yaml sets the limit).
LAKE_WRITER = "lake_writer"


def column_schema(table: str) -> dict[str, dg.TableSchema]:
    """Asset metadata for the Columns tab, from the declaration of the table (`schema.table`)."""
    from ml.tables.registry import table as declared

    return {
        "dagster/column_schema": shown_columns(
            (c.name, c.type, c.description) for c in declared(table).columns
        )
    }


def shown_columns(columns: Iterable[tuple[str, str, str]]) -> dg.TableSchema:
    """Columns for the UI, which takes descriptions for Markdown: name, type, description."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, kind, markdown_prose(description)) for name, kind, description in columns
        ]
    )


def incident_counts(changed: Synchronised) -> dict[str, int]:
    """Materialization metadata: incidents that a monitoring stage opened and ended."""
    return {"incidents_opened": len(changed.opened), "incidents_resolved": len(changed.resolved)}
