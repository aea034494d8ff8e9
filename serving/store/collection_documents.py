"""The document of each collection: level, spread, liquidity, value, model and its history, error, drift, freshness.

Here: one statement over all collections, and the form of the document. Not here: track records, which cost more and
are kept while their sales stay the same (`publication`).
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime
from typing import Any

import duckdb

from serving.store.lake_reader import iso_utc, number
from serving.store.model_history import model_histories, retraining_states


def slug(name: str) -> str:
    """The name in lower case, with a hyphen for whatever is no letter or digit of ASCII; may be empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:100]


def read_collections(con: duckdb.DuckDBPyConnection, market_time: datetime) -> list[dict[str, Any]]:
    """Documents of all collections that have estimates, by name, still without their track records.

    Args:
        con: A read connection of the lake.
        market_time: Sales of the last 7 and 30 days are counted back from here.
    """
    rows = con.execute(_SQL, {"now": market_time}).fetchall()
    documents = [json.loads(row[0]) for row in rows]
    histories, states = model_histories(con), retraining_states(con)
    for document in documents:
        document["model_history"] = histories.get(document["collection"], [])
        document["retraining"] = states.get(document["collection"])
        document["slug"] = slug(document["name"] or document["collection"]) or None
    return documents


_SQL = f"""
    with estimates as (
        select collection, count(*) as tokens, count(estimate_eth) as valued,
            round(sum({number("expected_eth")}), 6) as expected_eth,
            max(tier) filter (estimate_eth is not null) as tier,
            max(model_version) as model_version, max(prior_version) as prior_version, max(as_of) as as_of,
            max(feature_watermark) as feature_watermark,
            count(*) filter (grade = 'A') as a, count(*) filter (grade = 'B') as b,
            count(*) filter (grade = 'C') as c, count(*) filter (grade = 'D') as d,
            max(no_value_reason) as no_value_reason, max(lowest_ask_eth) as lowest_ask_eth,
            max(lowest_ask_at) as lowest_ask_at, max(floor_proxy_eth) as floor_proxy_eth
        from predictions.token_estimates group by collection
    ),
    state as (
        select * from marts.fct_collection_state
        qualify row_number() over (partition by collection order by seq desc) = 1
    ),
    trade as (
        select collection, sum(sales) filter (day > $now::timestamp - interval 7 day) as sales_7d,
            sum(sales) as sales_30d, round(sum(volume_eth), 6) as volume_30d
        from marts.fct_collection_daily
        where day > $now::timestamp - interval 30 day and day <= $now group by collection
    ),
    online as (
        select * from monitoring.online_metrics
        qualify row_number() over (partition by collection order by window_end desc) = 1
    )
    select to_json({{
        'collection': e.collection, 'name': d.name, 'chain': d."chain", 'contract': d.contract,
        'supply': d.supply, 'tokens': e.tokens, 'tokens_valued': e.valued, 'value_eth': e.expected_eth,
        'tier': coalesce(e.tier, 'none'), 'no_value_reason': case when e.valued = 0 then e.no_value_reason end,
        'level': {{
            'lowest_ask_eth': {number("e.lowest_ask_eth")}, 'lowest_ask_at': {iso_utc("e.lowest_ask_at")},
            'floor_proxy_eth': {number("e.floor_proxy_eth")}, 'median_30_eth': {number("s.med_30")},
            'median_5_eth': {number("s.med_5")}, 'last_price_eth': {number("s.last_price_eth")},
            'spread_50': {number("s.spread_50")}
        }},
        'liquidity': {{
            'sales': d.n_arms_length, 'sales_7d': coalesce(t.sales_7d, 0)::bigint,
            'sales_30d': coalesce(t.sales_30d, 0)::bigint, 'volume_30d_eth': coalesce(t.volume_30d, 0),
            'last_sale_at': {iso_utc("d.last_sale_at")}
        }},
        'grades': {{'A': e.a, 'B': e.b, 'C': e.c, 'D': e.d}},
        'grade': case greatest(e.a, e.b, e.c, e.d) when 0 then null when e.a then 'A' when e.b then 'B'
            when e.c then 'C' else 'D' end,
        'model': {{
            'version': e.model_version, 'prior_version': e.prior_version, 'trained_until': {iso_utc("m.trained_until")}
        }},
        'recent_error': case when o.collection is not null then {{
            'state': o.state, 'sales': o.n, 'mdape': {number("o.mdape")}, 'mdape_low': {number("o.mdape_low")},
            'mdape_high': {number("o.mdape_high")}, 'coverage_80': {number("o.coverage_80")},
            'median_5_mdape': {number("o.med_5_mdape")}, 'window_end': {iso_utc("o.window_end")}
        }} end,
        'drift': case when f.collection is not null then {{
            'state': f.state, 'worst_feature': f.worst_feature, 'worst_kind': f.worst_kind,
            'score': {number("f.score")}, 'evaluated_at': {iso_utc("f.evaluated_at")}
        }} end,
        'freshness': {{
            'covered_until': {iso_utc("d.covered_until")}, 'feature_watermark': {iso_utc("e.feature_watermark")},
            'valued_at': {iso_utc("e.as_of")}
        }},
        'as_of': {iso_utc("e.as_of")}
    }})::varchar
    from estimates as e
    left join marts.dim_collections as d on e.collection = d.collection
    left join state as s on e.collection = s.collection
    left join trade as t on e.collection = t.collection
    left join ops.champions as m on e.collection = m.collection
    left join online as o on e.collection = o.collection
    left join monitoring.drift_status as f on e.collection = f.collection
    order by e.collection
"""
