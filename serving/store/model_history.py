"""Why each collection has the model it has: decisions with reason, numbers and measured effect, and what waits.

Here: one statement over all collections for each of both. Not here: deciding (`ml.training`, `ml.retraining`), or
`assay why`, which reads the same tables for one collection and adds incidents.
"""

from __future__ import annotations

import json
from typing import Any

import duckdb

from ml.registry.mirror import POOLED
from ml.text.finite import finite
from serving.store.lake_reader import iso_utc, number

OWN_DECISIONS = 10
"""Newest decisions about a collection itself that its document has."""

MARKET_DECISIONS = 3
"""Newest decisions about the prior, or the settings, of its market that its document has."""

TUNED_MARKET = "(tuning) market"
"""Stands in `ops.decision_log` before the name of a market whose settings were studied."""


def model_histories(con: duckdb.DuckDBPyConnection) -> dict[str, list[dict[str, Any]]]:
    """Newest decisions first, by collection; collections without any are left out.

    Args:
        con: A read connection of the lake.
    """
    rows = con.execute(
        _DECISIONS,
        {
            "pooled": f"{POOLED} ",
            "tuned": f"{TUNED_MARKET} ",
            "own": OWN_DECISIONS,
            "market": MARKET_DECISIONS,
        },
    ).fetchall()
    histories: dict[str, list[dict[str, Any]]] = {}
    for collection, body, numbers in rows:
        entry = json.loads(body)
        # NaN and infinities are numbers in the lake's JSON, and not in JSON.
        histories.setdefault(collection, []).append({**entry, "numbers": finite(json.loads(numbers or "{}"))})
    return histories


def retraining_states(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """What each collection needed last (a new fit or new settings), why, and where that stands."""
    return {collection: json.loads(body) for collection, body in con.execute(_QUEUE).fetchall()}


# Two runs may decide on the same newest sale: then the row that was written last was decided last.
_DECISIONS = f"""
    with ranked as (
        select *, row_number() over (partition by collection order by decided_at desc, rowid desc) as place
        from ops.decision_log
    ),
    wanted as (
        select c.collection, 'collection' as about, r.* exclude (collection)
        from marts.dim_collections as c inner join ranked as r on r.collection = c.collection where r.place <= $own
        union all
        select c.collection, 'market' as about, r.* exclude (collection)
        from marts.dim_collections as c inner join ranked as r
            on r.collection in ($pooled || c."chain", $tuned || c."chain") where r.place <= $market
    )
    select w.collection, to_json({{
        'decided_at': {iso_utc("w.decided_at")}, 'about': w.about, 'action': w.action, 'rule': w.rule,
        'reason': w.reason, 'candidate': w.challenger, 'model_before': w.champion,
        'effect': case when f.collection is not null and w.about = 'collection' then {{
            'verdict': f.verdict, 'sales': f.n_after, 'mdape': {number("f.mdape_after")},
            'median_5_mdape': {number("f.med_5_after")}, 'sales_before': f.n_before,
            'mdape_before': {number("f.mdape_before")}, 'measured_at': {iso_utc("f.measured_at")}
        }} end
    }})::varchar, w.numbers
    from wanted as w
    left join ops.decision_effects as f
        on w.collection = f.collection and w.decided_at = f.decided_at and w.run_id = f.run_id
    order by w.collection, w.decided_at desc, w.about, w.place
"""

_QUEUE = f"""
    select collection, to_json({{
        'kind': kind, 'state': state, 'reason': reason, 'priority_eth': {number("priority")},
        'first_seen': {iso_utc("first_seen")}, 'last_seen': {iso_utc("last_seen")}, 'attempts': attempts,
        'launched_at': {iso_utc("launched_at")}, 'last_trained': {iso_utc("last_trained")},
        'cooling_until': {iso_utc("cooling_until")}
    }})::varchar
    from ops.retrain_queue
"""
