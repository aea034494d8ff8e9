"""Which collections an hourly scoring has to touch.

Here: one comparison of what the estimates were made from with what there is now. Not here: scoring
(`ml.pricing.scoring`).

Concept: an estimate stays correct as of its time until its inputs change: features built for a
newer time, another champion, another feature schema, tokens that appeared, a collection that
has not traded for too long, or one that was set aside or is not any more. Only those collections are worth the work
and a row of history.
"""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa

from ml.features.tables import TOKEN_FEATURES
from ml.models.frames import FeatureSet
from ml.models.markets import LivePriors
from ml.pricing.scoring import ScoringConfig
from ml.states import NoValue
from ml.tables.set_aside import collections_aside


def collections_to_score(
    con: duckdb.DuckDBPyConnection,
    as_of: datetime,
    features: FeatureSet | None = None,
    config: ScoringConfig | None = None,
) -> list[str] | None:
    """Collections whose estimates would differ from the stored ones.

    Args:
        con: A read connection.
        as_of: Time that will be scored (UTC, naive).
        features: Features in use; those declared now when None.
        config: Settings of the scoring; its `silent_days` decides.

    Returns:
        Names, sorted; None when everything must be scored (nothing is yet, or the schema changed).
    """
    features, config = features or FeatureSet.declared(), config or ScoringConfig()
    scored = con.execute(
        "select count(*), max(feature_fingerprint) from predictions.token_estimates"
    ).fetchone()
    if scored is None or not scored[0] or scored[1] != features.fingerprint:
        return None
    champions = "select collection, collection || '@' || version as model_version from ops.champions"
    live = LivePriors.read(con).of_collections(con)
    con.register(
        "_live",
        pa.table(
            {
                "collection": pa.array(list(live), pa.string()),
                "prior_version": pa.array(list(live.values()), pa.string()),
            }
        ),
    )
    rows = con.execute(
        f"""
        with scored as (
            select
                collection, count(*) as tokens, max(as_of) filter (estimate_eth is not null) as as_of,
                max(model_version) as model_version, max(prior_version) as prior_version,
                count(estimate_eth) > 0 as has_value, count(floor_proxy_eth) > 0 as has_floor,
                bool_or(no_value_reason = '{NoValue.SET_ASIDE}') as says_aside,
                bool_or(no_value_reason = '{NoValue.NO_FEATURES}') as says_no_features
            from predictions.token_estimates group by collection
        ),

        featured as (select collection, max(as_of) as as_of from features.token_features group by collection),

        known as (
            select d.collection, d.covered_until, count(t.token_id) as tokens
            from marts.dim_collections as d left join marts.dim_tokens as t on d.collection = t.collection
            group by all
        ),

        last_sales as (
            select collection, max(event_time) as last_sale_at from marts.fct_collection_state
            where known_at < $as_of group by collection
        ),

        champions as ({champions}),

        aside as ({collections_aside(TOKEN_FEATURES)})

        select k.collection
        from known as k
        left join scored as s on k.collection = s.collection
        left join featured as f on k.collection = f.collection
        left join last_sales as l on k.collection = l.collection
        left join champions as c on k.collection = c.collection
        left join _live as live on k.collection = live.collection
        left join aside on k.collection = aside.collection
        where
            s.tokens is distinct from k.tokens and k.tokens > 0
            or s.has_value and s.as_of is distinct from f.as_of
            -- written before the floor was kept
            or not s.has_floor and l.last_sale_at is not null
            or s.has_value and coalesce(c.model_version, s.model_version) <> s.model_version
            -- no champion: the live prior prices it
            or s.has_value and c.collection is null and s.prior_version is distinct from live.prior_version
            or s.has_value
            and l.last_sale_at < least($as_of::timestamp, k.covered_until) - to_days($silent_days)
            -- the reason for having no value is another one now
            or s.says_aside and aside.collection is null
            or not s.has_value and s.says_no_features and aside.collection is not null
            or not s.has_value and f.as_of is not null
            and l.last_sale_at >= least($as_of::timestamp, k.covered_until) - to_days($silent_days)
        order by 1
        """,
        {"as_of": as_of, "silent_days": config.tiers.silent_days},
    ).fetchall()
    con.unregister("_live")
    return [row[0] for row in rows]
