"""The effect of a decision: the errors of the sales after it, compared with those before it.

Here: `ops.decision_effects`. Not here: decisions (`ml.registry.mirror`), or what follows from an effect
(`ml.retraining.queue`).

Concept: a sale after the decision counts when the model that the decision put in place priced it, and on both sides
when its estimate was current: a week without a run is no effect of a decision. Markets move between before and after;
the verdict is therefore about the model's excess over the median of five sales, not about its error. An effect is
written once, when enough sales have come, and stays.
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from lake.storage import sql_list
from ml.compute.asof_join import sorted_asof_joins
from ml.ledger.estimate_ledger import CURRENT_DAYS, with_outdated
from ml.ledger.estimate_ledger import TABLE as LEDGER
from ml.retraining.policy import RetrainingPolicy
from ml.retraining.tables import EFFECTS
from ml.states import CHAMPION_CHANGES, EffectVerdict


def measure_effects(
    con: duckdb.DuckDBPyConnection, as_of: datetime, policy: RetrainingPolicy | None = None
) -> int:
    """Write the effect of every decision that has enough sales on both sides by now; returns how many are new.

    Args:
        con: A write connection of the lake; the caller's transaction.
        as_of: Time of the data: nothing known at or after it is used.
        policy: Guards.
    """
    policy = policy or RetrainingPolicy()
    limits = {
        "as_of": as_of,
        "days": int(policy.effect_days),
        "least": policy.effect_sales,
        "most": policy.effect_most_sales,
        "z": policy.effect_z,
    }
    with sorted_asof_joins(con):
        row = con.execute(_EFFECTS_SQL, limits).fetchone()
    return int(row[0]) if row else 0


# An hour counts once, as in ml.monitoring.online_error.
_EFFECTS_SQL = f"""
insert into {EFFECTS} by name
with decisions as (
    select collection, decided_at, run_id, action, challenger
    from ops.decision_log
    where action in {sql_list(CHAMPION_CHANGES)} and champion is not null and decided_at < $as_of
        and (collection, decided_at, run_id) not in (select (collection, decided_at, run_id) from {EFFECTS})
    qualify row_number() over (partition by collection, decided_at, run_id order by action) = 1
),
sold as (select * from {LEDGER} where collection in (select collection from decisions)),
priced as ({with_outdated("sold")}),
sales as (
    select
        d.collection, d.decided_at, d.run_id, d.action, l.known_at > d.decided_at as is_after,
        abs(l.estimate_eth / l.price_eth - 1) as ape, abs(l.med_5_eth / l.price_eth - 1) as med_5_ape,
        abs(ln(l.estimate_eth / l.price_eth)) - abs(ln(l.med_5_eth / l.price_eth)) as excess,
        date_trunc('hour', l.event_time) as hour
    from decisions as d
    inner join priced as l
        on d.collection = l.collection and l.is_arms_length and l.estimate_eth > 0 and l.known_at < $as_of
        and l.outdated_days <= {CURRENT_DAYS}
        and case
            when l.known_at > d.decided_at then l.model_version = d.challenger
            else l.known_at >= d.decided_at - to_days($days)
        end
    qualify row_number() over (
        partition by d.collection, d.decided_at, d.run_id, is_after
        order by abs(epoch_us(l.known_at) - epoch_us(d.decided_at)), l.sale_id
    ) <= $most
),
sides as (
    select
        collection, decided_at, run_id, action,
        count(*) filter (not is_after) as n_before, median(ape) filter (not is_after) as mdape_before,
        median(med_5_ape) filter (not is_after) as med_5_before,
        count(*) filter (is_after) as n_after, median(ape) filter (is_after) as mdape_after,
        median(med_5_ape) filter (is_after) as med_5_after,
        (avg(excess) filter (is_after) - avg(excess) filter (not is_after)) / nullif(sqrt(
            var_samp(excess) filter (is_after) / count(distinct hour) filter (is_after)
            + var_samp(excess) filter (not is_after) / count(distinct hour) filter (not is_after)
        ), 0) as z
    from sales
    group by all
)
select
    *, $as_of::timestamp as measured_at,
    case
        when z <= -$z then '{EffectVerdict.HELPED}'
        when z >= $z then '{EffectVerdict.HURT}'
        else '{EffectVerdict.NO_DIFFERENCE}'
    end as verdict
from sides
where n_before >= $least and n_after >= $least
"""
