"""Groups predictions and monitoring: what every token is worth, and the errors of past estimates.

Here: glue over `ml.pricing.scoring`, `ml.accuracy` and `serving.store`. Not here: training. Scoring only loads
champions.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

from lake.connection import current_snapshot
from orchestration.code_location import LocationResource
from orchestration.conventions import LAKE_WRITER, MODEL_TEAM, column_schema, incident_counts
from orchestration.dagster_resources import AssayResource
from orchestration.output import plots
from orchestration.predictions.set_aside import report_set_aside
from orchestration.resources import Assay

if TYPE_CHECKING:
    from ml.pricing.score_report import ScoreReport
    from serving.store.publication import PublicationReport


@dg.asset(
    group_name="predictions",
    deps=["token_features", "price_models"],
    owners=MODEL_TEAM,
    kinds={"catboost", "ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("predictions.token_estimates"),
    description="The current estimate of every token of every collection, with intervals, tier and provenance; "
    "each new one is also appended to predictions.estimate_history.",
)
def token_estimates(assay: AssayResource) -> dg.MaterializeResult:
    """`predictions.token_estimates` (one row per token) and `predictions.estimate_history` (append-only)."""
    report = score_what_changed(assay)
    incidents = report_set_aside(assay)
    return dg.MaterializeResult(
        metadata={
            "rows_written": report.tokens,
            "tokens_valued": report.valued,
            "history_rows": report.history_rows,
            **{f"tokens_{tier}": n for tier, n in report.tokens_by_tier.items()},
            **{f"collections_{tier}": n for tier, n in report.collections_by_tier.items()},
            **{f"no_value_{reason}": n for reason, n in report.tokens_by_reason.items()},
            "champions_replaced": dg.MetadataValue.json(report.replaced_champions),
            "seconds": dg.MetadataValue.json(report.seconds),
            **incident_counts(incidents),
        }
    )


def score_what_changed(assay: Assay) -> "ScoreReport":
    """Score the collections whose inputs changed since their last estimate."""
    from ml.pricing.rescoring import collections_to_score
    from ml.pricing.scoring import ScoringConfig, score

    config = ScoringConfig(threads=assay.settings.threads)
    with assay.lake.read() as con:
        only = collections_to_score(con, assay.as_of, config=config)
        snapshot = current_snapshot(con)
    with assay.lake.write("value every token") as con:
        return score(con, assay.registry.artifacts, assay.as_of, snapshot, only=only, config=config)


@dg.asset(
    group_name="monitoring",
    deps=["pooled_prior", "price_models"],
    owners=MODEL_TEAM,
    kinds={"ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("monitoring.accuracy_report"),
    description="Error of the walk-forward predictions and of the baselines: pooled, by chain, predicted premium and "
    "collection size, with interval coverage. Every prediction was made by models that had not seen the sale.",
)
def walk_forward_accuracy(assay: AssayResource) -> dg.MaterializeResult:
    """`monitoring.accuracy_report`: one JSON document, replaced."""
    from ml.accuracy.walk_forward_report import accuracy_basis, accuracy_report, read_holdout, record_accuracy

    with assay.lake.read() as con:
        document, basis = accuracy_report(con), accuracy_basis(con)
        holdout = read_holdout(con)
    with assay.lake.write("record the accuracy report") as con:
        record_accuracy(con, assay.as_of, document, basis)
    metadata: dict[str, Any] = {
        "report": dg.MetadataValue.json(document["chains"]["all"]),
        "sales": len(holdout),
    }
    if len(holdout):
        error_log = holdout.logs["model"] - holdout.price_log
        halves = {level: (high - low) / 2 for level, (low, high) in holdout.bounds.items()}
        metadata |= {
            "errors": plots.drawn("The histogram of errors", lambda: plots.error_histogram(error_log)),
            "calibration": plots.drawn("The coverage", lambda: plots.calibration_plot(error_log, halves)),
            "mdape": document["chains"]["all"]["pooled"]["model"]["mdape"],
        }
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    group_name="predictions",
    deps=[
        *("token_estimates", "walk_forward_accuracy", "slo_status", "drift_scores", "online_metrics"),
        *("fct_wallet_positions", "fct_realized_gains"),
    ],
    owners=MODEL_TEAM,
    kinds={"sqlite"},
    description="The store that the API answers from: a new version that equals the lake, of which only what changed "
    "is written. Readers see the old version or the new one, never a part of it.",
)
def published_estimates(
    context: dg.AssetExecutionContext, assay: AssayResource, location: LocationResource
) -> dg.MaterializeResult:
    """`<home>/serving`: a file per version and a pointer to the current one; or a PostgreSQL database."""
    from dataclasses import asdict

    from orchestration.predictions.described import parents_of

    parents = parents_of(location.definitions.resolve_all_asset_specs())
    report = publish_home(assay, context.instance, parents, context.run_id)
    metadata = {**asdict(report), "rows_written": sum(report.rows.values())}
    return dg.MaterializeResult(
        metadata={name: value for name, value in metadata.items() if value is not None}
    )


def publish_home(
    assay: Assay, instance: dg.DagsterInstance, parents: dict[str, list[str]], run_id: str | None = None
) -> "PublicationReport":
    """Bring the store of this home up to date with the newest snapshot of its lake.

    Args:
        assay: The home.
        instance: Its Dagster instance, for the list of runs.
        parents: The assets that each asset is made from, for the lineage of tables.
        run_id: The run that publishes.
    """
    import json
    from datetime import UTC

    from orchestration.home import store_location
    from orchestration.predictions.described import data_dictionary, operations
    from orchestration.resources import open_artifacts
    from serving.store import asked, files
    from serving.store.documents import DICTIONARY, OPERATIONS
    from serving.store.publication import PublicationConfig, publish
    from serving.store.reasons import ReasonsConfig

    home = assay.settings.home_path
    config = PublicationConfig(
        reasons=ReasonsConfig(collections=assay.settings.publish_reasons, asked=assay.settings.publish_asked),
        asked=home / files.FOLDER / asked.FOLDER,
        market=json.dumps(assay.settings.market, sort_keys=True),
    )
    with assay.lake.read(assay.lake.snapshot_id()) as con:
        return publish(
            con,
            store_location(assay.settings),
            assay.as_of,
            open_artifacts(assay.settings),
            config,
            now=assay.clock.now().replace(tzinfo=UTC).timestamp(),
            documents={
                OPERATIONS: operations(con, assay, instance, run_id),
                DICTIONARY: data_dictionary(con, parents),
            },
        )


PREDICTION_ASSETS = [token_estimates, walk_forward_accuracy, published_estimates]
