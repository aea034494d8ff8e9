"""Group raw: rows as the sources deliver them, by arrival month.

Here: two multi-assets, an asset per raw table, glue over `orchestration.ingestion.ingest`. Not here: validation.
The four event tables are partitioned by arrival month and filled day by day; traits and collections are
small facts without a history of their own, so they have no partitions.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg

from orchestration.conventions import DATA_TEAM, LAKE_WRITER, column_schema
from orchestration.dagster_resources import AssayResource
from orchestration.ingestion.configured import record_sources
from orchestration.ingestion.days import IngestReport
from orchestration.ingestion.incidents import record_incidents
from orchestration.ingestion.ingest import ingest_truth, ingest_window
from orchestration.partitions import arrival_months
from orchestration.resources import Assay
from sources.contract import EVENT_TABLES, FACT_TABLES, QUARANTINE, raw_table


def _metadata(report: IngestReport) -> dict[str, Any]:
    return {
        "dagster/partition_row_count": report.rows,
        "rows_written": report.rows,
        "rows_quarantined": report.quarantined,
        "days_written": report.days,
        **{f"quarantined_{reason}": n for reason, n in sorted(report.reasons.items())},
    }


def _spec(table: str, partitions: dg.PartitionsDefinition | None) -> dg.AssetSpec:
    contract = raw_table(table)
    return dg.AssetSpec(
        f"raw_{table}",
        group_name="raw",
        description=contract.description,
        owners=DATA_TEAM,
        kinds={"python", "ducklake"},
        metadata=column_schema(f"raw.{table}"),
        partitions_def=partitions,
    )


@dg.multi_asset(
    name="raw_events",
    specs=[_spec(table, arrival_months) for table in EVENT_TABLES],
    partitions_def=arrival_months,
    backfill_policy=dg.BackfillPolicy.single_run(),
    can_subset=True,
    pool=LAKE_WRITER,
)
def raw_events(context: dg.AssetExecutionContext, assay: AssayResource) -> Iterator[dg.MaterializeResult]:
    """The event tables of the selected arrival months, together: a source makes or fetches a month once."""
    window = context.partition_time_window
    start, end = (time.replace(tzinfo=None) for time in (window.start, window.end))
    tables = [t for t in EVENT_TABLES if dg.AssetKey(f"raw_{t}") in context.selected_asset_keys]
    for table, report in ingest(assay, tables, start, end).items():
        yield dg.MaterializeResult(asset_key=f"raw_{table}", metadata=_metadata(report))


@dg.multi_asset(
    name="raw_facts",
    specs=[_spec(table, None) for table in FACT_TABLES],
    can_subset=True,
    pool=LAKE_WRITER,
)
def raw_facts(context: dg.AssetExecutionContext, assay: AssayResource) -> Iterator[dg.MaterializeResult]:
    """Traits and collections known by now."""
    tables = [t for t in FACT_TABLES if dg.AssetKey(f"raw_{t}") in context.selected_asset_keys]
    for table, report in ingest(assay, tables).items():
        yield dg.MaterializeResult(asset_key=f"raw_{table}", metadata=_metadata(report))


def ingest(
    assay: Assay, tables: list[str], start: datetime | None = None, end: datetime | None = None
) -> dict[str, IngestReport]:
    """Bring raw tables up to date with every source of this home; counts are sums over the sources."""
    record_sources(assay.lake, assay.sources)
    record_incidents(assay.lake, assay.sources)
    total = {table: IngestReport(table) for table in tables}
    for one in assay.sources.readable:
        # A source that ends earlier has not delivered the days after its end.
        first, last = one.source.first_known(), min(one.source.watermark(), assay.as_of)
        reports = ingest_window(
            assay.lake,
            one.source,
            tables,
            first if start is None else max(start, first),
            last if end is None else min(end, last),
            name=one.config.name,
            append_only=one.config.append_only,
        )
        for table, report in reports.items():
            total[table].add(report)
    return total


@dg.asset(
    group_name="raw",
    description="The simulator's hidden true values (schema `truth`). Only reports compare with them.",
    owners=DATA_TEAM,
    kinds={"python", "ducklake"},
    pool=LAKE_WRITER,
)
def market_truth(assay: AssayResource) -> dg.MaterializeResult:
    """Hidden levels and token effects; empty for sources without them."""
    rows = ingest_truth(assay.lake, [one.source for one in assay.sources.readable])
    return dg.MaterializeResult(metadata={"dagster/row_count": rows})


raw_quarantine = dg.AssetSpec(
    "raw_quarantine",
    group_name="raw",
    deps=[f"raw_{table}" for table in (*EVENT_TABLES, *FACT_TABLES)],
    description=QUARANTINE.description + ". Filled by the raw assets; `assay replay` lets rows back in.",
    owners=DATA_TEAM,
    kinds={"ducklake"},
    metadata=column_schema("raw.quarantine"),
)
RAW_ASSETS: list[dg.AssetsDefinition | dg.AssetSpec] = [raw_quarantine, raw_events, raw_facts, market_truth]
