"""The job `score`. Here: the selection. Not here: what its assets do (`orchestration.predictions.assets`)."""

import dagster as dg

score = dg.define_asset_job(
    "score",
    dg.AssetSelection.assets("token_features", "token_estimates"),
    description="Value every token with the champions. Loads models, trains none.",
)
