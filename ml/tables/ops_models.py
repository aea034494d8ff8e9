"""Schema `ops`: fitted models, their calibration and their settings.

Not here: ingestion, builds and decisions (`ml.tables.ops`), which belong to the same schema.
"""

from __future__ import annotations

from lake.tables import Table, columns

PRIOR_FOLDS = Table(
    "ops.prior_folds",
    "One row per fold of a market's walk-forward; its newest one is its live prior "
    "([ADR 10](adr/0010-one-prior-per-market.md)).",
    ("market", "fold"),
    "as a whole",
    columns("""
        market varchar Chain
        fold bigint Number, from 1; fold 0, the index alone, has no row
        cutoff timestamp Models of the fold were fitted on rows known before
        sales bigint Rows they were fitted on
        prior_version varchar Name of the prior
        prior_sha varchar Digest of its file
        scale_sha varchar Digest of the model of its errors
        feature_fingerprint varchar Features it was fitted on
        config_fingerprint varchar Settings it was fitted with
    """),
)

INTERVAL_CALIBRATION = Table(
    "ops.interval_calibration",
    "One row per prior, calibration time and premium tier: conformal quantiles of the intervals after the newest sale "
    "([ADR 13](adr/0013-intervals-that-follow-the-market.md)).",
    ("prior_version", "calibrated_at", "premium_tier"),
    "as a whole",
    columns("""
        prior_version varchar Prior; `index <market>` where only the index prices
        calibrated_at timestamp Newest sale they have learnt from
        premium_tier bigint Predicted price over the floor proxy: 0 below 1.25, 1 up to 2, 2 above
        quantile_80 double Half-width of the 80 % interval, as a multiple of the scale
        quantile_90 double Half-width of the 90 % interval, as a multiple of the scale
        mean_log double ln of mean over median, for expected values
        sales bigint Sales they have learnt from
    """),
)

PORTFOLIO_RISK = Table(
    "ops.portfolio_risk",
    "One row per market (a chain, or `all`) and time of measurement: how errors of tokens held together move together.",
    ("market", "measured_at"),
    "per market and time",
    columns("""
        market varchar Chain, or all
        measured_at timestamp Newest sale measured on
        variance double Variance of log errors divided by the half-width of the 80 % interval
        same_collection double Covariance of two such errors within a collection
        other_collections double Covariance of two such errors of different collections
        quantile_80 double Standard deviations of ln(sum) that held 80 % of past sums
        portfolios bigint Past portfolios behind it: one wallet's purchases or sales of a month
    """),
)

RARITY_EFFECT = Table(
    "ops.rarity_effect",
    "One row per market and bin of rarity: what rarity adds to the index where it prices by itself.",
    ("market", "rarity_bin"),
    "as a whole",
    columns("""
        market varchar Chain; null in rows of homes older than markets
        rarity_bin bigint Tenth of the rarity percentile, 0 (commonest) to 9
        effect_log double Correction, ln
        sales bigint Sales behind it
    """),
)

CHAMPIONS = Table(
    "ops.champions",
    "One row per collection: mirror of the registry's champion aliases, which is what scoring reads.",
    ("collection",),
    "per collection",
    columns("""
        collection varchar Collection
        version bigint Version in the registry
        tier varchar own_model, pooled or index_rarity
        prior_version varchar Prior beneath it; null in tier index_rarity
        local_sha varchar Digest of the local booster's file; null without one
        weight double Weight of the local booster, 0 to 1; 0 without one
        index_fingerprint varchar Parameters of the index
        feature_fingerprint varchar Features it was fitted on
        trained_until timestamp Newest sale it was fitted on
        snapshot_id bigint Lake snapshot it was fitted on
        previous_version bigint Version it replaced; null if it is the first
        numbers varchar What was measured, as JSON
    """),
)

TUNING_TRIALS = Table(
    "ops.tuning_trials",
    "One row per trial of a study, written as it ends ([ADR 15](adr/0015-tuning.md)).",
    ("study", "trial"),
    "per trial",
    columns("""
        study varchar Study
        scope_kind varchar market, collection or class
        scope varchar Its name
        trial bigint Number of the trial
        params varchar Settings, as JSON
        value double Mean |log error| over its folds; null if it did not complete
        state varchar complete, pruned, failed or stopped
        reason varchar Why it ended so
        seconds double What it cost, wall clock
        folds varchar Error of each fold scored, as JSON
        pruned_step bigint Fold after which it was pruned; null if it was not
        window_start timestamp Start of the window searched
        window_end timestamp End of the window searched
    """),
)

TUNED_SETTINGS = Table(
    "ops.tuned_settings",
    "One row per verdict of a study on a market, a collection or a class; adopted rows are what fits read.",
    ("scope_kind", "scope", "study"),
    "per study",
    columns("""
        scope_kind varchar market, collection or class
        scope varchar Its name
        recipe varchar Features and defaults that it was measured against
        study varchar Study
        params varchar Settings found, as JSON
        adopted boolean Whether fits use them from decided_at on
        rule varchar later_window if adopted; else why not, such as buys_nothing, buys_too_little or shifts_level
        reason varchar The same for people
        sales bigint Sales of the later window; null without a comparison
        before_log double Mean |log error| there with the settings in force; null without a comparison
        after_log double Mean |log error| there with those found; null without a comparison
        gain double 1 - after_log / before_log, fraction; null without a comparison
        gain_low double Lower end of its 95 % interval, fraction
        gain_high double Upper end of its 95 % interval, fraction
        later_from timestamp Start of the later window
        decided_at timestamp As-of time: the newest known_at in the data
        expires timestamp The scope is not studied again before
        trials bigint Trials of the study
        seconds double What it cost, wall clock
        numbers varchar What was measured, as JSON
    """),
)

TABLES = (
    PRIOR_FOLDS,
    INTERVAL_CALIBRATION,
    PORTFOLIO_RISK,
    RARITY_EFFECT,
    CHAMPIONS,
    TUNING_TRIALS,
    TUNED_SETTINGS,
)
