"""Schema `monitoring`: accuracy of the estimates, drift of the market, and service levels."""

from __future__ import annotations

from lake.tables import Table, columns

ESTIMATE_LEDGER = Table(
    "monitoring.estimate_ledger",
    "One row per sale with a positive price, clean or not, with the estimate that was frozen before it.",
    ("sale_id",),
    "per sale that was corrected or taken back",
    columns("""
        collection varchar Collection
        chain varchar Chain
        token_id varchar Token within the collection
        sale_id varchar Sale (marts.fct_sales)
        tx_hash varchar Transaction
        event_time timestamp When it happened
        known_at timestamp When we learnt it
        as_of timestamp Time of the frozen estimate, never after the sale's own as-of time; null without one
        price_eth double Price, ETH
        is_arms_length boolean Whether the sale is clean
        is_wash boolean Whether a wash rule fired
        estimate_eth double The estimate, ETH; null exactly where tier is none
        lower_eth double Lower end of the 80 % interval, ETH; bounds are null without a value or a calibration yet
        upper_eth double Upper end of the 80 % interval, ETH
        lower_90_eth double Lower end of the 90 % interval, ETH
        upper_90_eth double Upper end of the 90 % interval, ETH
        expected_eth double Mean, for sums, ETH; null without a value and in rows of origin walk_forward
        index_eth double Estimate of the index alone, ETH; null where the estimate did not keep it
        prior_eth double Estimate of the pooled prior alone, ETH; null where the estimate did not keep it
        tier varchar own_model, pooled, index_rarity or none
        no_value_reason varchar As in token_estimates, or not_estimated_before (never scored yet); null with a value
        grade varchar A (surest) to D by the width of the frozen interval; null without one
        model_version varchar Champion that made the estimate
        prior_version varchar Prior beneath it
        premium_tier varchar <1.25x, 1.25-2x or >2x: predicted price over p20_50_eth; null without an estimate
        listed boolean Whether the token had a live ask known before the sale's as-of time
        sales_seen bigint Arm's-length sales of the collection visible to the sale
        days_since_sale double From the newest of them to the sale's as-of time, days; null without one
        buyer varchar Address that received the token; null when unknown or none
        seller varchar Address that gave the token; null when unknown or none
        p20_50_eth double Baseline at the sale's as-of time: floor proxy, ETH
        med_30_eth double Baseline at the sale's as-of time: median of the last 30 sales, ETH
        med_5_eth double Baseline at the sale's as-of time: median of the last 5 sales, ETH
        last_index_eth double Baseline at the sale's as-of time: the token's last sale moved by the median of 30, ETH
        origin varchar live (published by production) or walk_forward (a model fitted on what was known before)
    """),
)

ONLINE_METRICS = Table(
    "monitoring.online_metrics",
    "One row per collection (or `all`) and window: error of its newest clean sales with a current estimate "
    "([ADR 21](adr/0021-acting.md)). A row is written when its window changed.",
    ("collection", "window_end"),
    "per collection and window; rows older than 400 days are forgotten, the newest stays",
    columns("""
        collection varchar Collection, or all
        window_start timestamp When the oldest sale of the window became known
        window_end timestamp When the newest sale of the window became known
        evaluated_at timestamp As-of time of the evaluation
        n bigint Sales in the window
        outdated bigint Sales of the last days left out because no scoring ran in time; null in older rows
        clusters bigint Distinct hours of the sales
        mdape double Median absolute error, fraction of the price
        mdape_low double Lower end of its 95 % interval by order statistics; null with fewer than six sales
        mdape_high double Upper end of its 95 % interval by order statistics; null with fewer than six sales
        mape double Mean absolute error, fraction of the price
        level double Median of estimate over price, ln
        coverage_80 double Share of prices inside the 80 % interval, fraction; null without intervals
        med_5_mdape double The same median error of the baseline med_5, fraction
        past_n bigint Sales just before the window
        past_mdape double Their median absolute error, fraction
        past_med_5_mdape double Their median absolute error by med_5, fraction
        z_past double Rank sum of the new errors among the past ones, standard errors; positive is worse
        z_relative double Growth of the excess of |log error| over that of med_5, standard errors
        z_worse_than_med_5 double Paired excess over med_5 in the window, standard errors
        trend_z double Mann-Kendall of weekly medians, standard errors; positive when errors grow
        trend_weeks bigint Weeks with enough sales in it
        state varchar ok, degraded (worse than before and than the market, beyond noise) or too_few (sales to judge)
    """),
)

MAPE_BUCKETS = Table(
    "monitoring.mape_buckets",
    "One row per week and bucket: models whose mean error of the week lies in the bucket.",
    ("window_start", "bucket_number"),
    "as a whole",
    columns("""
        window_start timestamp Monday of the week
        bucket_number bigint Place of the bucket, from 0
        bucket varchar Its name, such as 10-20 %: bounds of the mean absolute error in % of the price
        models bigint Models with at least 5 sales in the week
        sales bigint Sales behind them
    """),
    derived=True,
)

ACCURACY_REPORT = Table(
    "monitoring.accuracy_report",
    "One row: walk-forward errors next to those of the baselines, over all and by chain (`ml.accuracy`), without the "
    "bootstrap of `assay report`.",
    (),
    "as a whole",
    columns("""
        as_of timestamp As-of time
        document varchar The report as JSON; errors are fractions of the price
        basis varchar Digest of the predictions it is about: another one makes it due; null in older rows
    """),
)

DRIFT_SCORES = Table(
    "monitoring.drift_scores",
    "One row per distribution of one full window.",
    ("collection", "window_sales", "number", "feature"),
    "per window; rows older than 180 days of as-of time are forgotten",
    columns("""
        evaluated_at timestamp As-of time of the evaluation
        window_start timestamp When the oldest sale of the window became known
        window_end timestamp When the newest sale of the window became known
        collection varchar Collection, or (market) CHAIN
        feature varchar A feature, or target_gap, prediction_gap, error or absolute_error
        kind varchar covariate (a feature), prior (price and prediction, as gaps) or concept (the error)
        window_sales bigint Size of the window, sales
        number bigint Number of the window; of a market the day
        n_reference bigint Rows it is compared with
        n_current bigint Rows of the window
        psi double Population stability index at the reference's deciles; null without sales
        ks double Largest distance of both distributions at those deciles, 0 to 1; null without sales
        ordinary_ks double The ks that nothing unusual gives, from windows of the reference
        p_value double Probability of such a distance when nothing moved; null when not tested
        q_value double p_value corrected for the number of tests; null when not tested
        state varchar ok, suspect (the newest window is significant), drifted (most of the newest are) or too_few
        streak bigint Significant windows in a row, from the newest
    """),
)

DRIFT_STATUS = Table(
    "monitoring.drift_status",
    "One row per collection with a sale in the last 90 days: its newest scored window.",
    ("collection",),
    "per collection",
    columns("""
        collection varchar Collection, or (market) CHAIN
        evaluated_at timestamp As-of time of the evaluation
        window_start timestamp When the oldest sale of the window became known
        window_end timestamp When the newest sale of the window became known
        window_sales bigint Size of the window, sales
        number bigint Number of the window; of a market the day
        state varchar Its worst state: ok, suspect, drifted or too_few
        tested bigint Distributions tested
        drifted bigint Of those, drifted
        suspect bigint Of those, suspect
        covariate bigint Drifted features of sales
        prior bigint Drifted prices
        concept bigint Drifted errors
        worst_feature varchar The one furthest beyond its ordinary distance
        worst_kind varchar Its kind
        score double ks / ordinary_ks of the worst
    """),
)

SLO_SAMPLES = Table(
    "monitoring.slo_samples",
    "One row per evaluation of one SLO.",
    ("slo", "evaluated_at"),
    "per evaluation; rows older than 400 days are forgotten",
    columns("""
        slo varchar Service level
        evaluated_at timestamp As-of time of the evaluation
        since timestamp Start of what was counted
        good double Good events of [since, evaluated_at)
        valid double Valid events of [since, evaluated_at)
        sli double good over valid; null without data
        value double What was measured, in the unit of the SLO; null of SLOs on a ratio
        note varchar Why there is no data; null when there is
        measured_at timestamp Wall-clock time of the evaluation; null in older rows
    """),
)

SLO_STATUS = Table(
    "monitoring.slo_status",
    "One row per SLO, by the newest evaluation.",
    ("slo",),
    "as a whole",
    columns("""
        slo varchar Service level
        evaluated_at timestamp As-of time of the evaluation
        state varchar ok, burning, ticket, page, exhausted or no_data
        severity varchar Of the alert it raises: page or ticket
        owner varchar Who answers for it
        objective double Share of good events promised, or the bound of a value
        window_days double Days the promise is kept over
        sli double Share of good events over the window; null without data
        value double What was measured, in the unit of the SLO; null of SLOs on a ratio
        bound varchar What the value must keep, such as ≤ 26; null of SLOs on a ratio
        good double Good events over the window
        valid double Valid events over the window
        budget_left double Share of the error budget left; negative when overspent; null without data
        burn_5m double Burn rate of the last 5 minutes, 1 spends the budget exactly; null with too few events
        burn_30m double Burn rate of the last 30 minutes
        burn_1h double Burn rate of the last hour
        burn_6h double Burn rate of the last 6 hours
        burn_3d double Burn rate of the last 3 days
        hours_to_exhaustion double Hours until the budget is spent at this rate; null when it is not burning
        note varchar Why there is no data; null when there is
        runbook varchar Page of the runbook
        command varchar First command
    """),
    derived=True,
)

TABLES = (
    ESTIMATE_LEDGER,
    ONLINE_METRICS,
    MAPE_BUCKETS,
    ACCURACY_REPORT,
    DRIFT_SCORES,
    DRIFT_STATUS,
    SLO_SAMPLES,
    SLO_STATUS,
)
