"""The jobs `score` and `publish`. Here: the selections. Not here: their assets (`orchestration.predictions.assets`)."""

import dagster as dg

score = dg.define_asset_job(
    "score",
    dg.AssetSelection.assets("token_features", "token_estimates") | dg.AssetSelection.groups("portfolio"),
    description="Value every token with the champions, and every wallet. Loads models, trains none.",
)

publish = dg.define_asset_job(
    "publish",
    dg.AssetSelection.assets("published_estimates"),
    description="Write what the API answers from. Last, because it says also how fresh and how right estimates are.",
)
