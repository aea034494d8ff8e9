"""The job `ingest`. Here: the selection. Not here: what its assets do (`orchestration.ingestion.assets`)."""

import dagster as dg

ingest = dg.define_asset_job(
    "ingest", dg.AssetSelection.groups("raw"), description="Bring the raw tables up to date with the source."
)
