"""What is due for training now, decided from the data alone.

Here: two questions, answered in SQL over what earlier trainings recorded. Not here: training (`pooled`,
`training`).

Concept: freshness beats retraining (docs/domain.md, section 5.4: a frozen model with live features loses little in 60
days, frozen features are useless in a week). So index and features are always live, and fits wait for
something to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from lake.storage import sql_list
from ml.features.tables import SALE_FEATURES
from ml.models.frames import FeatureSet
from ml.models.markets import LivePriors
from ml.models.prior import MIN_POOLED_ROWS
from ml.models.tuned_settings import MARKET, Adopted, read_adopted, recipe
from ml.registry.lost_files import BOOSTER, LostFile
from ml.states import Action
from ml.tables.set_aside import collections_aside
from ml.tables.writing import EPOCH
from ml.training.collections import TrainingConfig
from ml.training.pooled import PooledConfig


@dataclass(frozen=True)
class DueConfig:
    """When training is due.

    Attributes:
        refresh_days: The pooled stage is due again when the newest sale is this many days of as-of time ahead of
            what it last saw: predictions and interval calibration are renewed, and what is due is refitted.
    """

    refresh_days: float = 7.0


def prior_due(
    con: duckdb.DuckDBPyConnection,
    pooled: PooledConfig | None = None,
    config: DueConfig | None = None,
    lost: Sequence[LostFile] = (),
) -> str | None:
    """Why the pooled stage should run now, for people; None when it need not.

    Args:
        con: A read connection with features.sale_features.
        pooled: Settings of the pooled stage; its refit rules decide.
        config: Settings of this decision.
        lost: Model files that are lost (`ml.registry.lost_files`); one of a fold makes the stage due.
    """
    pooled, config = pooled or PooledConfig(), config or DueConfig()
    found = con.execute("select count(*), max(known_at) from features.sale_features").fetchone()
    if found is None or found[0] < MIN_POOLED_ROWS:
        return None
    live = con.execute(_LIVE_PRIORS_SQL).fetchall()
    if not live:
        return "no prior yet"
    if mine := [file for file in lost if file.role != BOOSTER]:
        more = f" (and {len(mine) - 1} more)" if len(mine) > 1 else ""
        return f"{mine[0]}{more}"
    walk = pooled.walk_forward
    adopted = read_adopted(con, MARKET, recipe(FeatureSet.declared().fingerprint, pooled.fingerprint()))
    for _, _, _, features, settings, _, _ in live:
        if features != FeatureSet.declared().fingerprint or settings != pooled.fingerprint():
            return "features or settings changed"
    total, newest_known = found
    predicted = con.execute("select count(*), max(known_at) from predictions.prior_walk_forward").fetchone()
    if predicted is None or predicted[1] is None:
        return "no out-of-fold predictions yet"
    lags = newest_known - predicted[1] >= timedelta(days=config.refresh_days)
    # It has decided on all but the newest sales; asking again, after a rejection for example, would decide the same.
    if not lags and total - predicted[0] <= walk.refit_growth * predicted[0]:
        return None
    for market, cutoff, sales, _, _, rows, newest in live:
        if newest is not None and newest - cutoff > timedelta(days=walk.refit_days):
            return f"the live prior of {market} is older than {walk.refit_days:.0f} days of as-of time"
        if newest is not None and _adopted_since(adopted.get(market, ()), cutoff, newest):
            return f"tuned settings of {market} were adopted after its live prior was fitted"
        if rows - sales > walk.refit_growth * sales:
            return (
                f"the sales of {market} grew by more than {100 * walk.refit_growth:.0f} % since the last fit"
            )
    return "its out-of-fold predictions lag behind the sales"


def predictions_lag(con: duckdb.DuckDBPyConnection) -> timedelta | None:
    """How far the newest sale is ahead of the newest one with an out-of-fold prediction; None while there is none."""
    row = con.execute(
        "select (select max(known_at) from features.sale_features)"
        " - (select max(known_at) from predictions.prior_walk_forward)"
    ).fetchone()
    return row[0] if row else None


def _adopted_since(adopted: Sequence[Adopted], cutoff: datetime, newest: datetime) -> bool:
    """Whether a fold fitted now would use settings that the live one, fitted at the cutoff, could not."""
    known_before, known_now = (round((at - EPOCH) / timedelta(microseconds=1)) for at in (cutoff, newest))
    return newest >= cutoff and any(known_before - 1 <= setting.decided_at < known_now for setting in adopted)


_LIVE_PRIORS_SQL = """
with live as (
    select market, cutoff, sales, feature_fingerprint, config_fingerprint from ops.prior_folds
    qualify fold = max(fold) over (partition by market)
),

largest as (select market from live order by sales desc, market limit 1),

counted as (
    select coalesce(live.market, (select market from largest)) as market, count(*) as sales_now,
        max(s.known_at) as newest
    from features.sale_features as s
    inner join marts.dim_collections as d on s.collection = d.collection
    left join live on d."chain" = live.market
    group by 1
)

select live.*, coalesce(counted.sales_now, 0) as sales_now, counted.newest
from live left join counted on live.market = counted.market
order by live.market
"""


def collections_due(
    con: duckdb.DuckDBPyConnection,
    training: TrainingConfig | None = None,
    lost: Sequence[LostFile] = (),
    features: FeatureSet | None = None,
) -> list[str]:
    """Collections whose champion is missing, rests on another prior, lost its booster or has enough new sales.

    A collection that was judged on these very predictions under this very prior is not due again: a challenger that
    was rejected would be rejected, and one that a person has rolled back would come back. A champion of other features
    is due all the same: it prices nothing, and a refit of the prior may give the same bytes under the same version.
    One whose sales are set aside is never due: it has no features to learn from.

    Args:
        con: A read connection with predictions.prior_walk_forward.
        training: Settings of the training; its guard of new sales decides.
        lost: Model files that are lost (`ml.registry.lost_files`); one of a champion makes its collection due.
        features: Features in use; those declared now when None.

    Returns:
        Partition keys, sorted.
    """
    training, features = training or TrainingConfig(), features or FeatureSet.declared()
    live = LivePriors.read(con).of_collections(con)
    table = pa.table(
        {
            "collection": pa.array(list(live), pa.string()),
            "prior_version": pa.array(list(live.values()), pa.string()),
        }
    )
    con.register("_live", table)
    try:
        rows = con.execute(
            f"""
            with judged as ({_JUDGED_SQL})

            select w.collection
            from predictions.prior_walk_forward as w
            left join ops.champions as c on w.collection = c.collection
            left join _live as live on w.collection = live.collection
            left join judged
                on w.collection = judged.collection and live.prior_version is not distinct from judged.prior_version
            where w.collection not in ({collections_aside(SALE_FEATURES)})
            group by
                w.collection, live.prior_version, c.collection, c.prior_version, c.feature_fingerprint, c.trained_until,
                judged.collection
            having c.collection is null
                or w.collection in (select unnest($lost))
                or c.feature_fingerprint <> $fingerprint
                or judged.collection is null and (
                    c.prior_version <> live.prior_version
                    or count(*) filter (w.known_at > c.trained_until) >= $new_sales
                )
            order by 1
            """,
            {
                "fingerprint": features.fingerprint,
                "new_sales": training.new_sales,
                "lost": [file.owner for file in lost if file.role == BOOSTER],
            },
        ).fetchall()
    finally:
        con.unregister("_live")
    return [row[0] for row in rows]


_JUDGED_SQL = f"""
select distinct collection, json_extract_string(numbers, '$.prior_version') as prior_version
from ops.decision_log
where action in {sql_list((Action.PROMOTED, Action.REJECTED, Action.KEPT, Action.FELL_BACK))}
    and decided_at >= (select max(known_at) from predictions.prior_walk_forward)
"""
