"""Writing estimates: the current one of every token, and the append-only history.

Here: two statements that turn prices into predictions.token_estimates and predictions.estimate_history. Not here: the
prices (`ml.pricing.price`), or who is priced (`ml.pricing.scoring`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from ml.features.tables import TOKEN_FEATURES
from ml.intervals.grades import grade_sql
from ml.models.frames import FeatureSet
from ml.states import NoValue
from ml.tables.set_aside import collections_aside

PREDICTION_SCHEMA = pa.schema(
    [
        ("collection", pa.string()),
        ("token_id", pa.string()),
        ("feature_as_of", pa.timestamp("us")),
        ("feature_watermark", pa.timestamp("us")),
        ("tier", pa.string()),
        ("no_value_reason", pa.string()),
        ("prior_version", pa.string()),
        ("half_80", pa.float64()),
        ("estimate_eth", pa.float64()),
        ("lower_80_eth", pa.float64()),
        ("upper_80_eth", pa.float64()),
        ("lower_90_eth", pa.float64()),
        ("upper_90_eth", pa.float64()),
        ("expected_eth", pa.float64()),
    ]
)
"""Priced tokens; grain: one token with features. `half_80` is in log units, null without an interval."""


def write_estimates(
    con: duckdb.DuckDBPyConnection,
    predictions: pa.Table,
    as_of: datetime,
    snapshot_id: int,
    features: FeatureSet,
    only: Sequence[str] | None,
) -> int:
    """Replace the estimates in scope and append the history, in the caller's transaction.

    Args:
        con: A write connection with the temporary tables `_facts`, `_choices` and `_floors` of
            `scoring`.
        predictions: Rows of `PREDICTION_SCHEMA`.
        as_of: Time that was asked for.
        snapshot_id: Lake snapshot the inputs came from.
        features: Features in use.
        only: Collections in scope; all when None.

    Returns:
        History rows added; none when the same champions have priced as of the same time before.
    """
    if only is None:
        con.execute("delete from predictions.token_estimates")
    else:
        # Those in scope, and collections that no source reports any more.
        con.execute(
            "delete from predictions.token_estimates where collection in (select unnest($1))"
            " or collection not in (select collection from marts.dim_collections)",
            [list(only)],
        )
    con.register("_predictions", predictions)
    try:
        con.execute(
            _ESTIMATES_SQL, {"as_of": as_of, "snapshot": snapshot_id, "features": features.fingerprint}
        )
    finally:
        con.unregister("_predictions")
    added = con.execute(_HISTORY_SQL).fetchone()
    return int(added[0]) if added else 0


_ESTIMATES_SQL = f"""
insert into predictions.token_estimates by name
with last_sales as (
    select s.collection, s.token_id, arg_max(s.price_eth, s.seq) as last_sale_eth
    from marts.fct_sales as s
    inner join _facts on s.collection = _facts.collection
    where s.is_arms_length and s.known_at < $as_of
    group by s.collection, s.token_id
)

select
    t.collection,
    t.token_id,
    p.estimate_eth,
    p.lower_80_eth,
    p.upper_80_eth,
    p.lower_90_eth,
    p.upper_90_eth,
    p.expected_eth,
    {grade_sql("p.half_80")} as grade,
    coalesce(p.tier, 'none') as tier,
    case
        when p.estimate_eth is not null then null
        when _facts.no_value_reason is not null then _facts.no_value_reason
        when p.no_value_reason is not null then p.no_value_reason
        when t.collection in ({collections_aside(TOKEN_FEATURES)}) then '{NoValue.SET_ASIDE}'
        else '{NoValue.NO_FEATURES}'
    end as no_value_reason,
    case when p.estimate_eth is not null then c.model_version end as model_version,
    p.prior_version,
    $features as feature_fingerprint,
    coalesce(p.feature_as_of, _facts.as_of) as as_of,
    p.feature_watermark,
    $snapshot::bigint as snapshot_id,
    f.lowest_ask_eth,
    f.lowest_ask_at,
    f.live_asks,
    f.floor_proxy_eth,
    l.last_sale_eth
from marts.dim_tokens as t
inner join _facts on t.collection = _facts.collection
inner join _floors as f on t.collection = f.collection
left join _predictions as p on t.collection = p.collection and t.token_id = p.token_id
left join _choices as c on t.collection = c.collection
left join last_sales as l on t.collection = l.collection and t.token_id = l.token_id
"""

_HISTORY_SQL = """
insert into predictions.estimate_history by name
select
    e.collection, e.token_id, e.estimate_eth, e.lower_80_eth, e.upper_80_eth, e.lower_90_eth, e.upper_90_eth,
    e.expected_eth, e.grade, e.tier, e.model_version, e.prior_version, e.as_of, e.feature_watermark, e.snapshot_id
from predictions.token_estimates as e
inner join _facts on e.collection = _facts.collection
where
    e.estimate_eth is not null
    and not exists (
        select 1 from (
            select distinct collection, as_of, model_version, prior_version from predictions.estimate_history
            where collection in (select collection from _facts)
        ) as h
        where h.collection = e.collection and h.as_of = e.as_of and h.model_version = e.model_version
            and h.prior_version is not distinct from e.prior_version
    )
"""
