"""The job `tune`. Here: the selection. Not here: what its asset does (`orchestration.tuning.assets`)."""

import dagster as dg

tune = dg.define_asset_job(
    "tune",
    dg.AssetSelection.assets("tuning_study"),
    description="Search settings under a budget; adopt what wins on later sales.",
)
