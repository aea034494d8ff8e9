"""The job `build`.

Here: the selection. Not here: what its assets do (`orchestration.marts.assets`, `orchestration.features`).
"""

import dagster as dg

build = dg.define_asset_job(
    "build",
    dg.AssetSelection.groups("staging", "intermediate", "marts")
    | dg.AssetSelection.assets("hedonic_index", "sale_features"),
    description="Marts, index and sale features from what was ingested; only what changed is rebuilt.",
)
