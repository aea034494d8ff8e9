"""The job `maintain`. Here: the selection. Not here: what its asset does (`orchestration.maintenance.assets`)."""

import dagster as dg

maintain = dg.define_asset_job(
    "maintain",
    dg.AssetSelection.assets("lake_maintenance"),
    description="Compact the lake and expire snapshots past their retention.",
)
