"""Writing estimates: the current one of every token, and the append-only history.

Here: two statements that turn predictions into predictions.token_estimates and predictions.estimate_history. Not here:
who speaks for a token (`speaking`), or what is said (`token_predictions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from ml.models.frames import FeatureSet
from ml.models.grades import grade_sql
from ml.models.speaking import REASON_NO_FEATURES
from ml.models.token_predictions import LOCAL_SCHEMA


def write_estimates(
    con: duckdb.DuckDBPyConnection,
    predictions: pa.Table,
    residuals: pa.Table,
    as_of: datetime,
    snapshot_id: int,
    features: FeatureSet,
    only: Sequence[str] | None,
) -> int:
    """Replace the estimates in scope and append the history, in the caller's transaction.

    Args:
        con: A write connection with the temporary tables `_facts` and `_assignment` of `speaking`.
        predictions: Rows of `PREDICTION_SCHEMA`.
        residuals: Rows of `LOCAL_SCHEMA`.
        as_of: The instant that was asked for.
        snapshot_id: Lake snapshot the inputs came from.
        features: Features in use.
        only: Collections in scope; all when None.

    Returns:
        History rows added; none when the same champions have spoken for the same instant before.
    """
    if only is None:
        con.execute("delete from predictions.token_estimates")
    else:
        con.execute(
            "delete from predictions.token_estimates where collection in (select unnest($1))", [list(only)]
        )
    con.register("_predictions", predictions)
    con.register("_residuals", residuals.cast(LOCAL_SCHEMA))
    try:
        con.execute(
            _ESTIMATES_SQL, {"as_of": as_of, "snapshot": snapshot_id, "features": features.fingerprint}
        )
    finally:
        con.unregister("_predictions")
        con.unregister("_residuals")
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
),

predicted as (
    select
        p.collection, p.token_id, p.feature_as_of, p.feature_watermark, p.half_80, p.half_90, p.mean_log,
        p.prediction_log + coalesce(r.residual_log, 0.0) as log_eth
    from _predictions as p
    left join _residuals as r on p.collection = r.collection and p.token_id = r.token_id
)

select
    t.collection,
    t.token_id,
    exp(p.log_eth) as estimate_eth,
    exp(p.log_eth - p.half_80) as lower_80_eth,
    exp(p.log_eth + p.half_80) as upper_80_eth,
    exp(p.log_eth - p.half_90) as lower_90_eth,
    exp(p.log_eth + p.half_90) as upper_90_eth,
    exp(p.log_eth + p.mean_log) as expected_eth,
    {grade_sql("p.half_80")} as grade,
    case when p.log_eth is null then 'none' else a.tier end as tier,
    case when p.log_eth is null then coalesce(_facts.no_value_reason, '{REASON_NO_FEATURES}') end as no_value_reason,
    case when p.log_eth is not null then a.model_version end as model_version,
    case when p.log_eth is not null then a.prior_version end as prior_version,
    $features as feature_fingerprint,
    coalesce(p.feature_as_of, _facts.as_of) as as_of,
    p.feature_watermark,
    $snapshot::bigint as snapshot_id,
    _facts.floor_eth,
    l.last_sale_eth
from marts.dim_tokens as t
inner join _facts on t.collection = _facts.collection
left join predicted as p on t.collection = p.collection and t.token_id = p.token_id
left join _assignment as a on t.collection = a.collection
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
