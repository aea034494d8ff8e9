"""Schema `predictions`: predictions of the models for past sales and for every token."""

from __future__ import annotations

from lake.tables import ColumnRule, Table, columns
from ml.states import Tier

PRIOR_WALK_FORWARD = Table(
    "predictions.prior_walk_forward",
    "One row per past sale with an index: predictions by the models of its market's fold, fitted on rows known "
    "before the fold. Fold 0 is the index alone.",
    ("sale_id",),
    "as a whole",
    columns("""
        sale_id varchar Sale (marts.fct_sales)
        collection varchar Collection
        seq bigint Position in the collection's known order
        known_at timestamp When the sale became known
        fold bigint Fold of its market; 0 is the index alone
        prior_version varchar Prior of the fold; null in fold 0
        target_log double Price, ln ETH
        base_log double Index mean, ln ETH
        prediction_log double Prediction, ln ETH
        premium_tier bigint Predicted price over the floor proxy: 0 below 1.25, 1 up to 2, 2 above
        scale double Predicted size of the error, ln; null before the first model of it
        half_80 double Half-width of the 80 % interval, ln; null before the first calibration
        half_90 double Half-width of the 90 % interval, ln; null before the first calibration
        floor_log double Baseline: 20th percentile of the last 50 sales, ln ETH
        med_30_log double Baseline: median of the last 30 sales, ln ETH
        med_5_log double Baseline: median of the last 5 sales, ln ETH
        last_index_log double Baseline: the token's last sale moved by the median of 30, ln ETH; that median without one
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
        weight double Weight of the local model, 0 to 1; chosen on an earlier window
        prediction_log double Prediction, ln ETH
    """),
)

LEAST_ETH, MOST_ETH = 1e-9, 1e9
"""Between these a value is believable, ETH; an order of magnitude wider than the rules of the features."""

_VALUES = ("estimate_eth", "lower_80_eth", "upper_80_eth", "lower_90_eth", "upper_90_eth", "expected_eth")

TOKEN_ESTIMATES = Table(
    "predictions.token_estimates",
    "One row per token: its current estimate with intervals and provenance, or the reason why there is none.",
    ("collection", "token_id"),
    "per collection",
    columns("""
        collection varchar Collection
        token_id varchar Token within the collection
        estimate_eth double Median price the token would trade at, arm's length, at as_of, in ETH; null = no value
        lower_80_eth double Lower end of the 80 % interval, ETH; bounds are null without a value or a calibration yet
        upper_80_eth double Upper end of the 80 % interval, ETH
        lower_90_eth double Lower end of the 90 % interval, ETH
        upper_90_eth double Upper end of the 90 % interval, ETH
        expected_eth double Mean rather than median, ETH: what to add up in a portfolio; null without a value
        tier varchar own_model, pooled, index_rarity or none: which parts of the model set the price
        no_value_reason varchar Word of ml.states.NoValue, such as fewer_than_3_sales; null where there is a value
        model_version varchar Champion that priced it, <collection>@<version>; @0 without one; null without a value
        prior_version varchar Pooled prior beneath it; null where only the index prices
        feature_fingerprint varchar Features it was priced on (ml.features.schema)
        as_of timestamp Time the value is for; nothing known later was used
        feature_watermark timestamp Arrival of the newest sale of the collection that was used
        snapshot_id bigint Lake snapshot the features were read from
        lowest_ask_eth double Fact: lowest live ask of the collection at as_of, its floor, ETH; null if none is known
        lowest_ask_at timestamp Fact: when that ask was made
        live_asks bigint Fact: tokens of the collection with a live ask at as_of; null if none is known
        floor_proxy_eth double Fact: 20th percentile of the last 50 sales, moved to as_of by the index, ETH or null
        last_sale_eth double Fact: the token's own last arm's-length price, ETH; null if it never sold
        grade varchar A (surest) to D by the width of the 80 % interval; null without one, and in rows older than grades
    """),
    rules=(
        ColumnRule("collection", required=True),
        ColumnRule("token_id", required=True),
        ColumnRule("tier", required=True, allowed=tuple(Tier)),
        ColumnRule("as_of", required=True),
        *(ColumnRule(name, low=LEAST_ETH, high=MOST_ETH) for name in _VALUES),
    ),
)

_NOT_IN_HISTORY = (
    "no_value_reason",
    "feature_fingerprint",
    "lowest_ask_eth",
    "lowest_ask_at",
    "live_asks",
    "floor_proxy_eth",
    "last_sale_eth",
)

ESTIMATE_HISTORY = Table(
    "predictions.estimate_history",
    "One row per valued token, as_of and model version: every estimate that was ever published, without reason, "
    "fingerprint and facts.",
    ("collection", "token_id", "as_of", "model_version", "prior_version"),
    "never: rows are appended",
    tuple(column for column in TOKEN_ESTIMATES.columns if column.name not in _NOT_IN_HISTORY),
)

EXPLANATIONS = Table(
    "predictions.explanations",
    "One row per component of one token's estimate, written on request by `assay explain --write` "
    "([ADR 14](adr/0014-reasons.md)).",
    ("collection", "token_id", "position"),
    "per collection",
    columns("""
        collection varchar Collection
        token_id varchar Token within the collection
        as_of timestamp Time the estimate is for
        model_version varchar Champion that priced it
        position bigint Place in the explanation, from 0
        component varchar Which part, one word, such as index_level, pooled_owner (pooled_<feature group>)
        label varchar The same for people
        log_effect double Effect, ln (ln ETH for the level); all of them add up to ln of the estimate
        eth_effect double Effect, ETH; all of them add up to the estimate
    """),
    derived=True,
)

COMPARABLES = Table(
    "predictions.comparables",
    "One row per comparable sale of one token, written on request by `assay explain --write`.",
    ("collection", "token_id", "rank"),
    "per collection",
    columns("""
        collection varchar Collection
        token_id varchar Token within the collection
        as_of timestamp Time the estimate is for
        rank bigint 1 is the most similar
        sale_id varchar Sale (marts.fct_sales)
        sold_token_id varchar Token that was sold
        sold_at timestamp When it was sold
        price_eth double Its price, ETH
        similarity double Of the traits of both tokens, 0 to 1 (the same)
        level_factor double What the collection's level did since: 1.1 is 10 % up
        trait_factor double What this token's traits are worth against the sold one's: 1.1 is 10 % more
        adjusted_eth double price_eth times both factors, ETH
    """),
    derived=True,
)

WALLET_VALUATIONS = Table(
    "predictions.wallet_valuations",
    "One row per wallet and day on which its holdings, their cost or their value changed: what it held was worth, by "
    "the estimates of that time.",
    ("wallet", "as_of"),
    "per day of `as_of`; earlier days stay",
    columns("""
        wallet varchar Address
        as_of timestamp Time of the valuation
        tokens bigint Tokens held (marts.fct_wallet_positions); 0 once when nothing is held any more
        units bigint Units of them
        tokens_valued bigint Of the tokens, those with an estimate
        value_eth double Sum of their means, all units, ETH
        lower_80_eth double Lower end of the 80 % interval of that sum, ETH; null without one
        upper_80_eth double Upper end of the 80 % interval of that sum, ETH; null without one
        floor_eth double Sum of the floors of their collections (lowest ask, or the proxy), ETH
        tokens_with_cost bigint Tokens whose cost is known
        cost_eth double What these cost, ETH
        value_with_cost_eth double Sum of the means of those that have a known cost, ETH
    """),
)

WALLET_POSITIONS = Table(
    "predictions.wallet_positions",
    "One row per owner of `wallets.yaml` and token held: moves between the owner's wallets realise nothing, and cost "
    "and date go along.",
    ("owner", "collection", "token_id"),
    "as a whole",
    columns("""
        owner varchar Name in wallets.yaml
        method varchar How lots were matched: fifo, lifo, hifo, average
        collection varchar Collection
        token_id varchar Token within the collection
        wallet varchar Wallet of the owner that got it last
        quantity bigint Units held
        cost_wei decimal(38,0) What they cost, wei; null if the cost of any is unknown
        cost_usd double The same in US dollars then
        acquired_at timestamp When the newest lot came; null when untraced
        basis_status varchar known, minted, carried, airdropped, unknown
        unknown_basis_reason varchar Why the cost is unknown
        acquisition_tx_hash varchar Transaction that brought the lot
    """),
    derived=True,
)

REALIZED_GAINS = Table(
    "predictions.realized_gains",
    "One row per disposal of an owner of `wallets.yaml` and lot that it took units from. A gain is null, never 0, "
    "where cost or proceeds are unknown.",
    ("owner", "disposal_id", "acquisition_id"),
    "as a whole",
    columns("""
        owner varchar Name in wallets.yaml
        method varchar How lots were matched: fifo, lifo, hifo, average
        disposal_id varchar Disposal (marts.fct_disposals)
        acquisition_id varchar Lot (marts.fct_acquisitions), or untraced and the disposal
        collection varchar Collection
        token_id varchar Token within the collection
        quantity bigint Units
        wallet varchar Wallet that gave them
        acquisition_kind varchar bought, minted, received, airdropped, untraced
        disposal_kind varchar sold, sent, burned, unseen
        acquired_at timestamp When the lot came; null when untraced
        disposed_at timestamp When it went
        holding_days bigint Days between; null when untraced
        is_long_term boolean Held for more than 365 days
        cost_wei decimal(38,0) Cost of these units, wei; null when unknown
        proceeds_wei decimal(38,0) Proceeds of these units after fees, wei; null when not sold
        fees_wei decimal(38,0) Fees, royalties and gas, wei; null when unknown
        gain_wei decimal(38,0) proceeds_wei less cost_wei; null when unknown
        cost_usd double Cost in US dollars at the rate of the acquisition
        proceeds_usd double Proceeds in US dollars at the rate of the disposal
        gain_usd double proceeds_usd less cost_usd
        basis_status varchar known, minted, carried, airdropped, unknown
        no_gain_reason varchar Why gain_wei is null
        acquisition_tx_hash varchar Transaction that brought the lot
        disposal_tx_hash varchar Transaction that gave it away
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
    WALLET_VALUATIONS,
    WALLET_POSITIONS,
    REALIZED_GAINS,
)
