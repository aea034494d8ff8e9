"""Keep features.sale_features and features.token_features in step with the index.

What is here: the two spines, and the writes. What is not: which collections are outdated (`ml.features.outdated`), the
query (`ml.features.query`).

The concept. A spine of past sales is the index's own rows; a spine of tokens is the index's last state,
moved to the scoring time: the token's own part decays, the level's variance grows. Both go through
``feature_query``. What a sale sees ends at its prefix, so when the known order of a collection changes at
seq k only rows from k on are computed again; whether it changed is read from the hash the index keeps of
its sales and traits.
"""

from __future__ import annotations

import dataclasses
import time
from datetime import datetime

import duckdb

from lake.storage import quoted
from lake.tables import column_names
from ml.compute.asof_join import sorted_asof_joins
from ml.features.outdated import forget_other_schema, plan_changed, plan_stale, remember
from ml.features.query import SPINE_INDEX_COLUMNS, feature_query
from ml.features.tables import SALE_KEYS, TOKEN_KEYS
from ml.index.params import DEFAULT_PARAMS, IndexParams

#: Spine rows per query: the joins of one hold some 500 bytes a row.
CHUNK_ROWS = 250_000


class ScoringTimeError(ValueError):
    """Token features were asked for at a time that does not lie after everything the index has seen."""


@dataclasses.dataclass(frozen=True)
class FeatureReport:
    """What a build did: collections touched, rows written, rows in the table now."""

    collections: int
    rows_written: int
    rows: int
    seconds: float


def update_sale_features(con: duckdb.DuckDBPyConnection) -> FeatureReport:
    """Bring features.sale_features up to date: one row per arm's-length sale that had an index.

    Runs in the caller's transaction. Only collections whose sales, traits or feature schema changed are
    touched, and of them only rows from the first changed sale on.
    """
    began = time.monotonic()
    forget_other_schema(con, "sale")
    plan_changed(con, "sale")
    con.execute(
        """
        create or replace temp table feature_plan as
        with fresh as (
            select collection, seq, row_hash, a_mean
            from features.hedonic_index
            where a_mean is not null and collection in (select collection from feature_changed where same_rules)
        ),
        stored as (
            select collection, seq, row_hash, base_log
            from features.sale_features
            where collection in (select collection from feature_changed where same_rules)
        ),
        differing as (
            select
                coalesce(fresh.collection, stored.collection) as collection,
                min(coalesce(fresh.seq, stored.seq)) as seq
            from fresh
            full join stored on fresh.collection = stored.collection and fresh.seq = stored.seq
            where fresh.row_hash is distinct from stored.row_hash
            group by 1
        )
        select
            feature_changed.collection,
            case when same_rules then coalesce(differing.seq, 9223372036854775807) else 1 end as first_seq
        from feature_changed
        left join differing using (collection)
        """
    )
    con.execute(
        """
        delete from features.sale_features
        where exists (
            select 1 from feature_plan
            where feature_plan.collection = sale_features.collection and sale_features.seq >= first_seq
        ) or collection not in (select collection from features.index_state)
        """
    )
    con.execute(
        f"""
        create or replace temp view feature_rows as
        select
            sale_id, collection, token_id, seq, known_at, as_of, prefix, row_hash, log_price as target_log,
            {", ".join(SPINE_INDEX_COLUMNS)}
        from features.hedonic_index
        inner join feature_plan using (collection)
        where seq >= first_seq and a_mean is not null
        """
    )
    con.execute(
        """
        create or replace temp view feature_spine as
        select feature_rows.*, seller as owner
        from feature_rows
        inner join marts.fct_sales
            on feature_rows.collection = fct_sales.collection and feature_rows.sale_id = fct_sales.sale_id
        """
    )
    return _write(con, "sale", column_names(SALE_KEYS), began)


def build_token_features(
    con: duckdb.DuckDBPyConnection,
    as_of: datetime,
    only_changed: bool = True,
    params: IndexParams = DEFAULT_PARAMS,
) -> FeatureReport:
    """Write features.token_features: every token of every collection with an index, as seen at ``as_of``.

    A collection whose sources ended earlier (``marts.dim_collections.covered_until``) is seen at their end.

    Args:
        con: connection inside the caller's transaction.
        as_of: scoring time (UTC, naive), later than everything the index has seen.
        only_changed: leave collections alone whose sales and traits did not change; their rows keep the
            older ``as_of`` they were built for.
        params: the index parameters the stored states were computed with.

    Raises:
        ScoringTimeError: the index knows sales from ``as_of`` on; they would leak into the features.
    """
    began = time.monotonic()
    forget_other_schema(con, "token")
    newest = con.execute("select max(state_known_at) from features.index_state").fetchone()
    if newest and newest[0] is not None and newest[0] >= as_of:
        raise ScoringTimeError(
            f"token features need a scoring time after everything the index has seen: found as_of {as_of} and a "
            f"sale known at {newest[0]}; pass a later as_of (the source's watermark)"
        )
    plan_changed(con, "token", everything=not only_changed)
    plan_stale(con, as_of)
    con.execute(
        """
        delete from features.token_features
        where collection in (select collection from feature_changed)
            or collection not in (select collection from features.index_state)
        """
    )
    # After the end of a source nothing is known, which is not inactivity: value at that end.
    con.execute(
        """
        create or replace temp table feature_plan as
        select
            collection,
            least($as_of::timestamp, coalesce(covered_until + interval 1 microsecond, $as_of::timestamp)) as as_of
        from marts.dim_collections
        where collection in (select collection from feature_changed)
        """,
        {"as_of": as_of},
    )
    fast, slow = params.fast, params.slow
    con.execute(
        f"""
        create or replace temp view feature_rows as
        with aged as (
            select
                token_index.*,
                feature_plan.as_of,
                (epoch_us(feature_plan.as_of) - epoch_us(state_known_at)) / 86400e6 as days,
                exp(-days / {fast.token_decay_days}) as a_decay,
                exp(-days / {slow.token_decay_days}) as b_decay
            from features.token_index
            inner join feature_plan using (collection)
        ),
        moved as (
            select
                collection, token_id, state_seq as prefix, state_known_at, as_of,
                a_level, a_trait, a_token * a_decay as a_token,
                sqrt(greatest(
                    a_sd * a_sd + {fast.day_drift} * days
                    + 2 * (1 - a_decay) * a_history_cross + (1 - a_decay * a_decay) * a_history_square,
                    0
                )) as a_sd,
                sqrt(a_level_sd * a_level_sd + {fast.day_drift} * days) as a_level_sd,
                b_level, b_trait, b_token * b_decay as b_token,
                sqrt(b_level_sd * b_level_sd + {slow.day_drift} * days) as b_level_sd
            from aged
        )
        select *, a_level + a_trait + a_token as a_mean, b_level + b_trait + b_token as b_mean
        from moved
        """
    )
    con.execute(
        """
        create or replace temp view feature_spine as
        select feature_rows.*, owner
        from feature_rows
        left join marts.fct_holdings
            on feature_rows.collection = fct_holdings.collection and feature_rows.token_id = fct_holdings.token_id
        """
    )
    return _write(con, "token", column_names(TOKEN_KEYS), began)


def _write(con: duckdb.DuckDBPyConnection, spine: str, keys: tuple[str, ...], began: float) -> FeatureReport:
    """Compute and insert the features of ``feature_spine``, some collections at a time to bound memory.

    ``feature_rows`` has the same rows without their owners: they are counted by it.
    """
    chunks = con.execute(
        f"""
        with sizes as (
            select collection, count(*) as rows
            from feature_rows
            group by collection
        ),
        chunked as (
            select *, (sum(rows) over (order by collection) - rows) // {CHUNK_ROWS} as chunk
            from sizes
        )
        select min(collection), max(collection), sum(rows)::bigint
        from chunked
        group by chunk
        order by chunk
        """
    ).fetchall()
    for first, last, _ in chunks:
        # The names are constants of the text: a parameter would not keep the files of other collections closed.
        con.execute(
            f"""
            create or replace temp table feature_chunk as
            select * from feature_spine
            where collection between {quoted(first)} and {quoted(last)}
            order by collection, as_of
            """
        )
        with sorted_asof_joins(con):
            con.execute(f"insert into features.{spine}_features {feature_query(con, 'feature_chunk', keys)}")
    remember(con, spine)
    counts = con.execute(
        f"select (select count(*) from feature_changed), (select count(*) from features.{spine}_features)"
    ).fetchone()
    for view in ("feature_spine", "feature_rows"):
        con.execute(f"drop view if exists temp.{view}")
    for table in ("feature_changed", "feature_plan", "feature_chunk"):
        con.execute(f"drop table if exists temp.{table}")
    touched, rows = counts if counts else (0, 0)
    return FeatureReport(touched, sum(written for _, _, written in chunks), rows, time.monotonic() - began)
