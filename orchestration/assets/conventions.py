"""What all assets share: owners, the writer pool, and how tables describe themselves in the UI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from orchestration.alerts.outbox import Synchronised

DATA_TEAM = ["team:data-engineering"]
MODEL_TEAM = ["team:valuation"]
# One slot: DuckLake takes one writer at a time (dagster.yaml sets the limit).
LAKE_WRITER = "lake_writer"


def column_schema(columns: Mapping[str, tuple[str, str]]) -> dict[str, dg.TableSchema]:
    """Asset metadata for the Columns tab. `columns`: name → (type, description)."""
    return {
        "dagster/column_schema": dg.TableSchema(
            columns=[dg.TableColumn(name, kind, description) for name, (kind, description) in columns.items()]
        )
    }


def table_columns(
    con: duckdb.DuckDBPyConnection, table: str, descriptions: Mapping[str, str] | None = None
) -> dict[str, dg.TableSchema]:
    """Materialization metadata for the Columns tab, from the table as it is in the lake."""
    told = descriptions or {}
    columns = con.execute(f"describe {table}").fetchall()
    return column_schema({name: (kind, told.get(name, "")) for name, kind, *_ in columns})


def incident_counts(changed: Synchronised) -> dict[str, int]:
    """Materialization metadata: incidents that a monitoring stage opened and ended."""
    return {"incidents_opened": len(changed.opened), "incidents_resolved": len(changed.resolved)}


def arrow_columns(schema: pa.Schema) -> dict[str, tuple[str, str]]:
    """Columns of a pyarrow schema whose fields carry a `description`."""
    return {f.name: (str(f.type), (f.metadata or {}).get(b"description", b"").decode()) for f in schema}
