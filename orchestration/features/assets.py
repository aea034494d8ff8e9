"""Group features: the hedonic index, and a model's inputs for every sale and every token.

Here: glue over `ml.index` and `ml.features`. Not here: any formula.
"""

from typing import Any

import dagster as dg

from orchestration.conventions import LAKE_WRITER, MODEL_TEAM, column_schema
from orchestration.dagster_resources import AssayResource
from orchestration.output import plots

FEATURE_DEPS = ["fct_sales", "fct_collection_state", "fct_listings", "dim_tokens"]


@dg.asset(
    group_name="features",
    deps=["fct_sales", "dim_tokens"],
    owners=MODEL_TEAM,
    kinds={"numba", "ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("features.hedonic_index"),
    description="The causal Gaussian-process price index of every collection: the expected price of each sale, "
    "one step ahead, and every token's place in it now. Only collections with new sales are touched.",
)
def hedonic_index(assay: AssayResource) -> dg.MaterializeResult:
    """`features.hedonic_index` (a row per arm's-length sale) and `features.token_index` (a row per token)."""
    from ml.index.update import update_index
    from orchestration.compute import compute_backend

    with assay.lake.write("update the hedonic index") as con:
        report = update_index(con, compute_backend(assay.settings))
    with assay.lake.read() as con:
        plot = plots.drawn("The price index", lambda: plots.index_plot(con))
    return dg.MaterializeResult(
        metadata={
            "rows_written": report.sales,
            "collections_updated": report.collections,
            "tokens_placed": report.tokens,
            "seconds": report.seconds,
            "price_index": plot,
        }
    )


@dg.asset(
    group_name="features",
    deps=["hedonic_index", *FEATURE_DEPS],
    owners=MODEL_TEAM,
    kinds={"duckdb", "ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("features.sale_features"),
    description="What was known strictly before every arm's-length sale, with its price as the target.",
)
def sale_features(assay: AssayResource) -> dg.MaterializeResult:
    """`features.sale_features`: one row per arm's-length sale with an index."""
    from ml.features.build import update_sale_features
    from ml.features.schema import fingerprint
    from ml.features.tables import SALE_FEATURES
    from ml.tables.set_aside import set_aside

    with assay.lake.write("update sale features") as con:
        report = update_sale_features(con)
        aside = set_aside(con, SALE_FEATURES, assay.as_of)
    return dg.MaterializeResult(metadata=_metadata(report, aside, fingerprint()))


@dg.asset(
    group_name="features",
    deps=["hedonic_index", *FEATURE_DEPS],
    owners=MODEL_TEAM,
    kinds={"duckdb", "ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("features.token_features"),
    description="The same features for every token at the watermark: the scoring spine through the same code path.",
)
def token_features(assay: AssayResource) -> dg.MaterializeResult:
    """`features.token_features`: one row per token of every collection with an index."""
    from ml.features.build import build_token_features
    from ml.features.schema import fingerprint
    from ml.features.tables import TOKEN_FEATURES
    from ml.tables.set_aside import set_aside

    with assay.lake.write("build token features") as con:
        report = build_token_features(con, assay.as_of)
        aside = set_aside(con, TOKEN_FEATURES, assay.as_of)
    return dg.MaterializeResult(metadata=_metadata(report, aside, fingerprint()))


def _metadata(report: Any, aside: Any, fingerprint: str) -> dict[str, Any]:
    return {
        "dagster/row_count": report.rows - aside.rows,
        "rows_written": report.rows_written,
        "collections_updated": report.collections,
        "collections_set_aside": aside.collections,
        "feature_fingerprint": fingerprint,
    }


FEATURE_ASSETS = [hedonic_index, sale_features, token_features]
