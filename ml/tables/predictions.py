"""Schema `predictions`: what models say, about past sales and about every token."""

from __future__ import annotations

from lake.tables import Table, columns

PRIOR_WALK_FORWARD = Table(
    "predictions.prior_walk_forward",
    "One row per past sale with an index: what the models of its market's fold say, fitted on rows known before the "
    "fold. Fold 0 is the index alone.",
    ("sale_id",),
    "as a whole",
    columns("""
        sale_id varchar Sale (marts.fct_sales)
        collection varchar Collection
        seq bigint Position in the collection's known order
        known_at timestamp When the sale became known
        fold bigint Fold of its market; 0 is the index alone
        prior_version varchar Prior of the fold
        target_log double Price, ln ETH
        base_log double Index mean, ln ETH
        prediction_log double Prediction, ln ETH
        premium_tier bigint Predicted premium over the floor, 0 (floor) and up
        scale double Predicted size of the error, ln
        half_80 double Half-width of the 80 % interval, ln
        half_90 double Half-width of the 90 % interval, ln
        floor_log double Baseline: 20th percentile of the last 50 sales, ln ETH
        med_30_log double Baseline: median of the last 30 sales, ln ETH
        med_5_log double Baseline: median of the last 5 sales, ln ETH
        last_index_log double Baseline: last sale of the token moved by the index, ln ETH
    """),
)

LOCAL_WALK_FORWARD = Table(
    "predictions.local_walk_forward",
    "One row per recent sale of a collection whose local model was judged: its price by a local model that was fitted "
    "before it.",
    ("sale_id",),
    "per collection",
    columns("""
        sale_id varchar Sale (marts.fct_sales)
        collection varchar Collection
        weight double Say of the local model, 0 to 1
        prediction_log double Prediction, ln ETH
    """),
)

TOKEN_ESTIMATES = Table(
    "predictions.token_estimates",
    "One row per token: its current estimate with intervals and provenance, or the reason why there is none.",
    ("collection", "token_id"),
    "per collection",
    columns("""
        collection varchar Collection
        token_id varchar Token within the collection
        estimate_eth double Median price the token would trade at, arm's length, at as_of, in ETH; null = no value
        lower_80_eth double Lower end of the 80 % interval, ETH
        upper_80_eth double Upper end of the 80 % interval, ETH
        lower_90_eth double Lower end of the 90 % interval, ETH
        upper_90_eth double Upper end of the 90 % interval, ETH
        expected_eth double Mean rather than median: what to add up in a portfolio, ETH
        tier varchar own_model, pooled, index_rarity or none: which parts of the model speak
        no_value_reason varchar Why there is no value, exactly where there is none
        model_version varchar Champion that priced it, <collection>@<version in the registry>
        prior_version varchar Pooled prior beneath it
        feature_fingerprint varchar Feature schema
        as_of timestamp The instant the value is for; nothing known later was used
        feature_watermark timestamp Arrival of the newest sale of the collection that was used
        snapshot_id bigint Lake snapshot the features were read from
        floor_eth double Fact: trailing 20th percentile of the last 50 sales, ETH
        last_sale_eth double Fact: the token's own last arm's-length price, ETH
        grade varchar A to D by the width of the 80 % interval; null without one, and in rows older than grades
    """),
)

ESTIMATE_HISTORY = Table(
    "predictions.estimate_history",
    "One row per valued token, instant and model version: every estimate that was ever published.",
    ("collection", "token_id", "as_of", "model_version", "prior_version"),
    "never: rows are appended",
    tuple(
        column
        for column in TOKEN_ESTIMATES.columns
        if column.name not in ("no_value_reason", "feature_fingerprint", "floor_eth", "last_sale_eth")
    ),
)

EXPLANATIONS = Table(
    "predictions.explanations",
    "One row per component of one token's estimate, on request ([ADR 14](adr/0014-reasons.md)).",
    ("collection", "token_id", "position"),
    "per collection",
    columns("""
        collection varchar Collection
        token_id varchar Token within the collection
        as_of timestamp The instant the estimate is for
        model_version varchar Champion that priced it
        position bigint Place in the explanation, from 0
        component varchar Which part, as a machine word
        label varchar The same for people
        log_effect double Effect; all of them add up to ln of the estimate
        eth_effect double Effect; all of them add up to the estimate, ETH
    """),
    derived=True,
)

COMPARABLES = Table(
    "predictions.comparables",
    "One row per comparable sale of one token, on request.",
    ("collection", "token_id", "rank"),
    "per collection",
    columns("""
        collection varchar Collection
        token_id varchar Token within the collection
        as_of timestamp The instant the estimate is for
        rank bigint 1 is the most similar
        sale_id varchar Sale (marts.fct_sales)
        sold_token_id varchar Token that was sold
        sold_at timestamp When it was sold
        price_eth double Its price, ETH
        similarity double 0 to 1
        level_factor double What the collection's level did since, as a factor
        trait_factor double What the traits differ, as a factor
        adjusted_eth double price_eth times both factors, ETH
    """),
    derived=True,
)

TABLES = (
    PRIOR_WALK_FORWARD,
    LOCAL_WALK_FORWARD,
    TOKEN_ESTIMATES,
    ESTIMATE_HISTORY,
    EXPLANATIONS,
    COMPARABLES,
)
