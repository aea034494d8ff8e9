"""The job `score`. Here: the selection. Not here: what its assets do (`assets`)."""

import dagster as dg

score = dg.define_asset_job(
    "score",
    dg.AssetSelection.assets("token_features", "token_estimates") | dg.AssetSelection.groups("portfolio"),
    description="Value every token with the champions, and every wallet. Loads models, trains none.",
)
