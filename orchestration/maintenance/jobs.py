"""The job `maintain`. Here: the selection. Not here: what its assets do (`orchestration.maintenance.assets`)."""

import dagster as dg

maintain = dg.define_asset_job(
    "maintain",
    dg.AssetSelection.assets("lake_maintenance", "consistency"),
    description="Compact the lake, expire snapshots past their retention, and compare rows that are due with their "
    "sources.",
)
