"""Schema `ops`: what was ingested, built, decided and found out, and what is still to be done."""

from __future__ import annotations

from lake.migrations import VERSION
from lake.tables import Table, columns

INGEST_LOG = Table(
    "ops.ingest_log",
    "One row per raw table, source and day of arrival, written with the rows "
    "([ADR 5](adr/0005-partitions-by-arrival.md)).",
    ("table_name", "source", "day"),
    "per day",
    columns("""
        table_name varchar Raw table
        source varchar Adapter that read it
        day date Day of arrival (known_at), UTC
        rows bigint Rows accepted
        quarantined bigint Rows turned away
        fingerprint varchar Hash of the day's rows; ends in " unfinished" when the day was not over
    """),
)

MART_WATERMARK = Table(
    "ops.mart_watermark",
    "At most one row: up to which snapshot the marts are complete. Written by dbt.",
    (),
    "as a whole",
    columns("""
        snapshot_id bigint Lake snapshot
        finished_at timestamp When the build ended, wall clock
    """),
)

MART_RUN = Table(
    "ops.mart_run",
    "At most one row: the newest build of the marts. Written by dbt.",
    (),
    "as a whole",
    columns("""
        snapshot_id bigint Lake snapshot that it works up to
        is_full boolean Whether everything is built again
        started_at timestamp When it began, wall clock
    """),
    derived=True,
)

DIRTY_COLLECTIONS = Table(
    "ops.dirty_collections",
    "One row per collection whose sales changed before the newest build; readable after it. Written by dbt.",
    ("collection",),
    "as a whole, by each build",
    columns("""
        collection varchar Collection
        from_known_at timestamp From this arrival on its rows can have changed
    """),
    derived=True,
)

DIRTY_ENTITIES = Table(
    "ops.dirty_entities",
    "One row per raw table and collection whose listings or traits changed before the newest build. Written by dbt.",
    ("entity", "collection"),
    "as a whole, by each build",
    columns("""
        entity varchar listings or token_traits
        collection varchar Collection
        from_known_at timestamp From this arrival on its rows can have changed
    """),
    derived=True,
)

DIRTY_TOKENS = Table(
    "ops.dirty_tokens",
    "One row per token that was sold or moved before the newest build, unless that was a full one. Written by dbt.",
    ("collection", "token_id"),
    "as a whole, by each build",
    columns("""
        collection varchar Collection
        token_id varchar Token within the collection
    """),
    derived=True,
)

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
    "One row per prior, instant and premium tier: the conformal quantiles of the intervals after the newest sale "
    "([ADR 13](adr/0013-intervals-that-follow-the-market.md)).",
    ("prior_version", "calibrated_at", "premium_tier"),
    "as a whole",
    columns("""
        prior_version varchar Prior; `index <market>` where the index speaks alone
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
    "One row per market (a chain, or `all`) and instant: how errors of tokens held together move together.",
    ("market", "measured_at"),
    "per instant",
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
        weight double Say of the local booster, 0 to 1; 0 without one
        index_fingerprint varchar Parameters of the index
        feature_fingerprint varchar Features it was fitted on
        trained_until timestamp Newest sale it was fitted on
        snapshot_id bigint Lake snapshot it was fitted on
        previous_version bigint Version it replaced; null if it is the first
        numbers varchar What was measured, as JSON
    """),
)

DECISION_LOG = Table(
    "ops.decision_log",
    "One row per decision; those on a prior stand under `(pooled prior) <market>`, those of a study under "
    "`(tuning) …`.",
    ("collection", "decided_at", "run_id"),
    "never: rows are appended",
    columns("""
        decided_at timestamp Market time: the newest instant known to the data
        run_id varchar Run that decided
        collection varchar Collection, (pooled prior) <market>, or (tuning) and the scope of a study
        action varchar promoted, rejected, kept, fell_back, rolled_back, refitted; of a study tuned or not_tuned
        rule varchar Rule that decided, one word such as beats_baselines, champion_better or previous_better
        reason varchar The same for people
        numbers varchar What was measured, as JSON; errors are mean |log error|
        challenger varchar Model that was judged; null where none was
        champion varchar Model that was champion before; null without one
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
        decided_at timestamp Market time: the newest instant known to the data
        expires timestamp The scope is not studied again before
        trials bigint Trials of the study
        seconds double What it cost, wall clock
        numbers varchar What was measured, as JSON
    """),
)

RETRAIN_QUEUE = Table(
    "ops.retrain_queue",
    "One row per collection that ever needed something.",
    ("collection",),
    "per collection",
    columns("""
        collection varchar Collection
        kind varchar retrain (a new fit) or retune (new settings before the next fit)
        reason varchar Why
        value_eth double Sum of its estimates, ETH
        severity double Expected excess error, fraction of the price
        priority double value_eth times severity, ETH: what is trained first
        first_seen timestamp Market time when the need was first seen
        last_seen timestamp Market time when it was last seen
        attempts bigint Trainings launched for it
        launched_at timestamp Market time of the last launch; null if never
        last_trained timestamp Market time of the last training; null if never
        cooling_until timestamp Not launched again before, market time; null if it is free
        run_id varchar Run that was launched for it, or trained it, last; null if none
        state varchar queued, launched, cooling or done
    """),
)

DECISION_EFFECTS = Table(
    "ops.decision_effects",
    "One row per decision that changed a model, once 20 sales came after it.",
    ("collection", "decided_at", "run_id"),
    "per decision",
    columns("""
        collection varchar Collection
        decided_at timestamp When it was decided, market time
        run_id varchar Run that decided
        action varchar What was decided, as in ops.decision_log
        measured_at timestamp Market time of the measurement
        n_before bigint Clean sales before
        mdape_before double Median absolute error before, fraction
        med_5_before double The same of the baseline med_5, fraction
        n_after bigint Clean sales after
        mdape_after double Median absolute error after, fraction
        med_5_after double The same of the baseline med_5, fraction
        z double By how many standard errors the excess over med_5 changed; negative is better
        verdict varchar helped, hurt or no_difference
    """),
)

TRAINING_FAILURES = Table(
    "ops.training_failures",
    "One row per collection whose last training failed; its next training that does not fail removes the row.",
    ("collection",),
    "per collection",
    columns("""
        collection varchar Collection
        failed_at timestamp Market time
        run_id varchar Run that failed
        reason varchar Why
    """),
)

TABLES = (
    VERSION,
    INGEST_LOG,
    MART_WATERMARK,
    MART_RUN,
    DIRTY_COLLECTIONS,
    DIRTY_ENTITIES,
    DIRTY_TOKENS,
    PRIOR_FOLDS,
    INTERVAL_CALIBRATION,
    PORTFOLIO_RISK,
    RARITY_EFFECT,
    CHAMPIONS,
    DECISION_LOG,
    TUNING_TRIALS,
    TUNED_SETTINGS,
    RETRAIN_QUEUE,
    DECISION_EFFECTS,
    TRAINING_FAILURES,
)
