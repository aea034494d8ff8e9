"""Schema `ops`: what was ingested and built, which decisions were made, and what is still to be done.

Not here: the tables of fitted models and their settings (`ml.tables.ops_models`), which belong to the same schema.
"""

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
        source varchar Name of the configured source (ops.sources)
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
        rules varchar Hash of the custody contracts and of the rules of airdrops that it was built with
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

DIRTY_POSITIONS = Table(
    "ops.dirty_positions",
    "One row per token whose moves or their prices can have changed before the newest build, unless that was a full "
    "one. Written by dbt.",
    ("collection", "token_id"),
    "as a whole, by each build",
    columns("""
        collection varchar Collection
        token_id varchar Token within the collection
    """),
    derived=True,
)

DECISION_LOG = Table(
    "ops.decision_log",
    "One row per decision; those on a prior stand under `(pooled prior) <market>`, those of a study under "
    "`(tuning) …`, repairs of rows under `(reconciliation) <table>`.",
    ("collection", "decided_at", "run_id"),
    "never: rows are appended",
    columns("""
        decided_at timestamp As-of time: the newest known_at in the data
        run_id varchar Run that decided
        collection varchar Collection; (pooled prior), (tuning) or (reconciliation) and what it is about
        action varchar promoted, rejected, kept, fell_back, rolled_back, refitted, tuned, not_tuned or repaired
        rule varchar Rule that decided, one word such as beats_baselines, champion_better or previous_better
        reason varchar The same for people
        numbers varchar What was measured, as JSON; errors are mean |log error|
        challenger varchar Model that was judged; null where none was
        champion varchar Model that was champion before; null without one
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
        first_seen timestamp As-of time when the need was first seen
        last_seen timestamp As-of time when it was last seen
        attempts bigint Trainings launched for it
        launched_at timestamp As-of time of the last launch; null if never
        last_trained timestamp As-of time of the last training; null if never
        cooling_until timestamp Not launched again before, as-of time; null if it is free
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
        decided_at timestamp When it was decided, as-of time
        run_id varchar Run that decided
        action varchar What was decided, as in ops.decision_log
        measured_at timestamp As-of time of the measurement
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

SET_ASIDE = Table(
    "ops.set_aside",
    "One row per stage and collection that is set aside because its rows break a rule; the others go on.",
    ("stage", "collection"),
    "per stage, by each of its runs",
    columns("""
        stage varchar Table whose rows break the rule, such as features.token_features
        collection varchar Collection
        as_of timestamp Time of the data when it was set aside; runs that still find it keep this
        rows bigint Rows that break a rule
        column_name varchar Column of one rule that is broken
        value varchar Its value in one of those rows; null where it is missing
        expected varchar What the rule expects
    """),
)

TRAINING_FAILURES = Table(
    "ops.training_failures",
    "One row per collection whose last training failed; its next training that does not fail removes the row.",
    ("collection",),
    "per collection",
    columns("""
        collection varchar Collection
        failed_at timestamp As-of time
        run_id varchar Run that failed
        reason varchar Why
    """),
)

SEGMENT_LIVES = Table(
    "ops.segment_lives",
    "One row per life of a segment: the rows of one raw table, source and day of arrival, from when they were first "
    "seen, or were equal again, to the next difference from the source ([ADR 59](adr/0059-consistency-asset.md)).",
    ("table_name", "source", "day", "life"),
    "as a whole, by each pass of `consistency`",
    columns("""
        table_name varchar Raw table
        source varchar Name of the configured source (ops.sources)
        day date Day of arrival (known_at), UTC
        life bigint Number of the life, from 1
        begins_at timestamp When it began, wall clock
        clean_at timestamp Newest comparison that found no difference, wall clock; null without one
        found_at timestamp Comparison that found a difference, wall clock; null: none did
        due_at timestamp When it is compared next, wall clock
        checks bigint Comparisons in this life
        rows bigint Rows that were ingested, refused ones with them
        differing_rows bigint Rows that differed at the newest comparison
    """),
)

CONSISTENCY = Table(
    "ops.consistency",
    "One row per pass of the asset `consistency`: what was compared, and what can be promised until the next one.",
    ("checked_at",),
    "never: rows are appended",
    columns("""
        checked_at timestamp When, wall clock
        segments bigint Segments there are
        rows bigint Their rows
        segments_due bigint Segments that were due
        segments_compared bigint Segments that were compared in this pass, early ones with them
        rows_compared bigint Their rows
        segments_differing bigint Segments that are known to differ
        rows_differing bigint Their rows that do
        exposure_days double Segment-days that were certainly without a difference, in all lives
        differences bigint Lives that ended with a difference
        method varchar rule_of_three, constant_rate or weibull; several where sources differ
        bound double With 95 % confidence at most this share of rows is inconsistent until the next pass
        bound_without_differences double What the same comparisons would promise, had none ever found a difference
        seconds double How long the pass took
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
    DIRTY_POSITIONS,
    DECISION_LOG,
    RETRAIN_QUEUE,
    DECISION_EFFECTS,
    SET_ASIDE,
    TRAINING_FAILURES,
    SEGMENT_LIVES,
    CONSISTENCY,
)
