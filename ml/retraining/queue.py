"""The queue: which collections need something, most valuable first, and the state of each.

Here: `ops.retrain_queue`, from what was found (degraded, drifted) and from what trainings recorded. Not here: launching
(`orchestration.retraining`), judging errors (`ml.monitoring.online_error`), finding drift (`ml.drift`).

Concept: a row moves queued → launched → cooling → done. What degraded a model stays in its window of sales for weeks
after a training that repaired it; so a trained collection is judged by the measured effect of the training on sales
after it, and is queued again only without such an effect: first for new settings, then for a fit with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from lake.storage import sql_list
from ml.drift.statement import MARKET_PREFIX
from ml.drift.tables import STATUS as DRIFT
from ml.features.tables import SALE_FEATURES
from ml.monitoring.online_error import ALL, newest_online
from ml.retraining.policy import RetrainingPolicy
from ml.retraining.tables import (
    EFFECTS,
    QUEUE,
)
from ml.states import CHAMPION_CHANGES, DriftState, EffectVerdict, ErrorState, QueueKind, QueueState
from ml.tables.set_aside import collections_aside


@dataclass(frozen=True)
class QueueSummary:
    """The queue after a refresh.

    Attributes:
        queued: Collections that wait for a training, most valuable first; those whose sales are set aside have nothing
            to learn from and are left out until they are back.
        retune: Collections that wait for new settings, likewise.
        launched: In a run.
        cooling: Trained, waiting for sales.
        spent_today: Collections launched on this day of as-of time.
    """

    queued: tuple[str, ...]
    retune: tuple[str, ...]
    launched: int
    cooling: int
    spent_today: int


def refresh_queue(
    con: duckdb.DuckDBPyConnection, as_of: datetime, policy: RetrainingPolicy | None = None
) -> QueueSummary:
    """Bring the queue up to what is known at as-of time `as_of`, in the caller's transaction; idempotent.

    Args:
        con: A write connection of the lake.
        as_of: Time of the data: nothing known at or after it is used.
        policy: Limits and weights.
    """
    policy = policy or RetrainingPolicy()
    _find_needs(con, as_of, policy)
    con.execute(_RESOLVE_SQL, {"as_of": as_of})
    con.execute(_REENTER_SQL)
    con.execute(_ENTER_SQL, {"as_of": as_of})
    con.execute(
        f"delete from {QUEUE} where state = '{QueueState.DONE}' and last_seen < $1::timestamp - to_days($2::int)",
        [as_of, int(policy.forget_days)],
    )
    con.execute("drop table temp.found_needs")
    con.execute("drop table temp.model_changes")
    return read_queue(con, as_of)


def read_queue(con: duckdb.DuckDBPyConnection, as_of: datetime) -> QueueSummary:
    """The queue as it stands; empty before the first refresh."""
    rows = con.execute(
        f"select collection, kind, state, collection in ({collections_aside(SALE_FEATURES)}),"
        f" launched_at >= date_trunc('day', $1::timestamp) from {QUEUE} order by priority desc, collection",
        [as_of],
    ).fetchall()
    waiting = [
        (name, kind) for name, kind, state, aside, _ in rows if state == QueueState.QUEUED and not aside
    ]
    return QueueSummary(
        tuple(name for name, kind in waiting if kind == QueueKind.RETRAIN),
        tuple(name for name, kind in waiting if kind == QueueKind.RETUNE),
        sum(state == QueueState.LAUNCHED for _, _, state, *_ in rows),
        sum(state == QueueState.COOLING for _, _, state, *_ in rows),
        sum(bool(today) for *_, today in rows),
    )


def mark_launched(con: duckdb.DuckDBPyConnection, keys: Sequence[str], run_id: str, as_of: datetime) -> int:
    """A run has begun to train these; returns how many of them stood in the queue. Twice for one run counts once."""
    row = con.execute(
        f"update {QUEUE} set state = '{QueueState.LAUNCHED}', launched_at = $as_of, run_id = $run,"
        " attempts = attempts + 1"
        f" where collection in (select unnest($keys)) and run_id is distinct from $run"
        f" and state <> '{QueueState.DONE}'",
        {"as_of": as_of, "run": run_id, "keys": list(keys)},
    ).fetchone()
    return int(row[0]) if row else 0


def mark_trained(
    con: duckdb.DuckDBPyConnection, keys: Sequence[str], run_id: str, as_of: datetime, cooldown_h: float
) -> None:
    """These were trained, by any run: their new sales are awaited. Collections that need nothing are not touched."""
    con.execute(
        f"update {QUEUE} set state = '{QueueState.COOLING}', last_trained = $as_of, run_id = $run,"
        f" kind = '{QueueKind.RETRAIN}',"
        " attempts = attempts + (case when run_id is distinct from $run then 1 else 0 end), cooling_until = $until"
        f" where collection in (select unnest($keys)) and state <> '{QueueState.DONE}'",
        {"as_of": as_of, "run": run_id, "keys": list(keys), "until": as_of + timedelta(hours=cooldown_h)},
    )


def mark_retuned(con: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> None:
    """Settings of these were examined: they may be fitted again."""
    con.execute(
        f"update {QUEUE} set kind = '{QueueKind.RETRAIN}'"
        f" where state = '{QueueState.QUEUED}' and kind = '{QueueKind.RETUNE}'"
        " and collection in (select unnest($1))",
        [list(keys)],
    )


def launched_runs(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Runs that have begun to train collections and have not reported an end since."""
    return [
        row[0]
        for row in con.execute(
            f"select distinct run_id from {QUEUE} where state = '{QueueState.LAUNCHED}' order by 1"
        ).fetchall()
    ]


def release(con: duckdb.DuckDBPyConnection, ended_runs: Sequence[str]) -> int:
    """Collections that a run which has ended did not train wait again; returns how many."""
    row = con.execute(
        f"update {QUEUE} set state = '{QueueState.QUEUED}' where state = '{QueueState.LAUNCHED}'"
        " and run_id in (select unnest($1))",
        [list(ended_runs)],
    ).fetchone()
    return int(row[0]) if row else 0


def _find_needs(con: duckdb.DuckDBPyConnection, as_of: datetime, policy: RetrainingPolicy) -> None:
    """Temporary tables: `found_needs`, what was found, with its value; `model_changes`, runs that changed a model."""
    con.execute(
        "create or replace temp table model_changes as"
        f" select collection, run_id from ops.decision_log where action in {sql_list(CHAMPION_CHANGES)}"
    )
    degraded = f"""
    select collection, greatest(mdape - past_mdape, 0) as severity, window_start as since, true as erring,
        format(
            'errors grew from {{:.1f}} % to {{:.1f}} % on {{:d}} sales', 100 * past_mdape, 100 * mdape, n
        ) as reason
    from ({newest_online()})
    where state = '{ErrorState.DEGRADED}' and collection <> '{ALL}'
        and window_end >= $as_of::timestamp - to_days({int(policy.stale_days)})
    """
    # a champion fitted on the window's sales knows the market after the change
    drifted = f"""
    select collection, {policy.drift_excess} * least(drifted, {policy.drift_features}) as severity,
        window_start as since, false as erring,
        format('{{:d}} features drifted, most of all {{}}', drifted, worst_feature) as reason
    from {DRIFT} left join (select collection, trained_until from ops.champions) using (collection)
    where state = '{DriftState.DRIFTED}' and coalesce(trained_until < window_end, true)
        and not starts_with(collection, '{MARKET_PREFIX}')
        and window_end >= $as_of::timestamp - to_days({int(policy.stale_days)})
    """
    values = """
    select collection, sum(estimate_eth) as value_eth from predictions.token_estimates
    where collection in (select collection from found) group by collection
    """
    con.execute(
        f"""
        create or replace temp table found_needs as
        with found as materialized ({degraded} union all by name {drifted}),
        valued as ({values})
        select
            f.collection, coalesce(max(v.value_eth), 0) as value_eth, max(f.severity) as severity,
            max(f.since) as since,
            bool_or(f.erring) as erring,
            string_agg(left(f.reason, 300), '; ' order by f.severity desc, f.reason) as reason,
            coalesce(max(v.value_eth), 0) * max(f.severity) as priority
        from found as f left join valued as v on f.collection = v.collection
        group by f.collection
        """,
        {"as_of": as_of},
    )


# What a training brought is known when its effect is; a training that changed no champion brought nothing.
_RESOLVE_SQL = f"""
update {QUEUE} as q set state = r.state, kind = r.kind, last_seen = $as_of::timestamp, reason = r.reason,
    value_eth = r.value_eth, severity = r.severity, priority = r.value_eth * r.severity
from (
    with outcomes as (
        select
            q.collection, n.reason as need,
            q.state = '{QueueState.COOLING}' and (
                coalesce(e.verdict = '{EffectVerdict.HELPED}', false) or not n.erring and q.cooling_until <= $as_of
            ) as helped,
            q.state = '{QueueState.COOLING}' and coalesce(n.erring, false) and (
                coalesce(e.verdict <> '{EffectVerdict.HELPED}', false)
                or q.cooling_until <= $as_of and q.run_id not in (select run_id from model_changes
                    where collection = q.collection)
            ) as in_vain,
            coalesce(n.value_eth, q.value_eth) as value_eth, coalesce(n.severity, q.severity) as severity
        from {QUEUE} as q
        left join found_needs as n on q.collection = n.collection
        left join {EFFECTS} as e on q.collection = e.collection and q.run_id = e.run_id and e.measured_at <= $as_of
        where q.state in ('{QueueState.QUEUED}', '{QueueState.COOLING}')
    )
    select
        o.collection, o.value_eth, o.severity,
        case
            when need is null or helped then '{QueueState.DONE}'
            when in_vain then '{QueueState.QUEUED}'
            else q.state
        end as state,
        case when need is not null and in_vain then '{QueueKind.RETUNE}' else q.kind end as kind,
        case
            when need is null then 'over: ' || q.reason
            when helped then 'helped: ' || q.reason
            else need
        end as reason
    from outcomes as o inner join {QUEUE} as q on o.collection = q.collection
) as r
where q.collection = r.collection
"""

# A row that is done returns only on sales that all came after its training: older ones were acted on.
_REENTER_SQL = f"""
delete from {QUEUE} as q using found_needs as n
where q.collection = n.collection and q.state = '{QueueState.DONE}'
    and (q.last_trained is null or n.since >= q.last_trained)
"""

_ENTER_SQL = f"""
insert into {QUEUE} by name
select
    collection, '{QueueKind.RETRAIN}' as kind, reason, value_eth, severity, priority, $as_of::timestamp as first_seen,
    $as_of::timestamp as last_seen, 0 as attempts, '{QueueState.QUEUED}' as state
from found_needs
where collection not in (select collection from {QUEUE})
"""
