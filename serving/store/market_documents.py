"""What the charts of a collection show: its index, its sales, what its traits are worth, and its models.

Here: one statement over the collections that changed, and a digest that says which have. Not here: the collection's
document (`collection_documents`), drawing (`serving.dashboard`).

Concept: one document for each collection, in columns rather than rows, because names would be most of it. It begins
with the digest of what it was made from, so that a publication computes only those that differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import duckdb
import pyarrow as pa

from serving.store.documents import as_json
from serving.store.lake_reader import iso_utc, number, read_digests

PREFIX = "market:"
"""Before the name of a collection: the name of its document."""

CHART_DAYS = 365
"""Days of the index, counted back from the newest of each collection."""

SALES = 2_000
"""Newest sales of each collection."""

TRAITS = 60
"""Trait values of each collection: those whose tokens differ most from the others."""

TRAIT_TOKENS = 3
"""Valued tokens that a trait value needs to be compared."""

DECISIONS = 50
"""Newest decisions about the models of each collection."""

_HEAD = '{"basis":"'
_DIGEST_CHARACTERS = 32


def market_digests(con: duckdb.DuckDBPyConnection, tokens: Mapping[str, str]) -> dict[str, str]:
    """What the charts of each collection are made from, by collection.

    Args:
        con: A read connection of the lake.
        tokens: Digest of the tokens' answers by collection: it changes with index, traits and estimates.
    """
    sales = _digests(con, "marts.fct_sales where seq is not null", "sale_id, price_eth, event_time")
    decisions = _digests(con, "ops.decision_log", "decided_at, run_id, action, rule, reason")
    return {
        name: hashlib.sha256(
            "|".join((digest, sales.get(name, ""), decisions.get(name, ""))).encode()
        ).hexdigest()[:_DIGEST_CHARACTERS]
        for name, digest in tokens.items()
    }


def stored_digest(head: bytes) -> str:
    """The digest that a stored document, or its beginning, was made with."""
    return head[len(_HEAD) : len(_HEAD) + _DIGEST_CHARACTERS].decode("ascii", "replace")


def market_documents(
    con: duckdb.DuckDBPyConnection, digests: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    """(name of the document, JSON) of these collections."""
    if not digests:
        return
    wanted = pa.table({"collection": pa.array(list(digests), pa.string())})
    con.register("_wanted", wanted)
    try:
        rows = con.execute(_SQL, {"days": CHART_DAYS, "sales": SALES}).fetchall()
    finally:
        con.unregister("_wanted")
    for name, document in rows:
        yield (
            f"{PREFIX}{name}",
            f'{{"basis":"{digests[name]}","collection":{as_json(name).decode()},{document[1:]}'.encode(),
        )


def _digests(con: duckdb.DuckDBPyConnection, table: str, columns: str) -> dict[str, str]:
    return read_digests(
        con,
        f"select collection, count(*) || ':' || sum(hash({columns})::hugeint) from {table} group by collection",
    )


_INDEX = f"""
    select collection, to_json({{
        'day': list(day order by day), 'level_eth': list({number("level_eth")} order by day),
        'low_eth': list({number("low_eth")} order by day), 'high_eth': list({number("high_eth")} order by day)
    }}) as part
    from (
        select collection, as_of::date as day, exp(max_by(a_level, seq)) as level_eth,
            exp(max_by(a_level - 1.2816 * a_level_sd, seq)) as low_eth,
            exp(max_by(a_level + 1.2816 * a_level_sd, seq)) as high_eth,
            max(max(as_of::date)) over (partition by collection) as newest
        from features.hedonic_index semi join _wanted using (collection)
        where a_level is not null group by collection, day
    ) where day > newest - $days::integer group by collection
"""
# 1.2816 standard deviations on each side hold 80 % of a normal distribution.

_SALES_PART = f"""
    select collection, to_json({{
        'at': list({iso_utc("event_time")} order by event_time, sale_id),
        'token_id': list(token_id order by event_time, sale_id),
        'price_eth': list({number("price_eth")} order by event_time, sale_id)
    }}) as part, max(of_all) > count(*) as cut
    from (
        select collection, token_id, event_time, sale_id, price_eth,
            count(*) over (partition by collection) as of_all
        from marts.fct_sales semi join _wanted using (collection) where seq is not null
        qualify row_number() over (partition by collection order by event_time desc, sale_id desc) <= $sales
    ) group by collection
"""

_TRAITS_PART = f"""
    with valued as (
        select e.collection, e.estimate_eth, t.trait_codes,
            median(e.estimate_eth) over (partition by e.collection) as middle_eth
        from predictions.token_estimates as e
        semi join _wanted using (collection)
        inner join marts.dim_tokens as t on e.collection = t.collection and e.token_id = t.token_id
        where isfinite(e.estimate_eth) and e.estimate_eth > 0 and t.trait_codes is not null
    ),
    coded as (select collection, estimate_eth, middle_eth, unnest(trait_codes) as trait_code from valued),
    measured as (
        select collection, trait_code, count(*) as tokens, median(estimate_eth) / max(middle_eth) - 1 as premium
        from coded group by collection, trait_code having count(*) >= {TRAIT_TOKENS}
    ),
    named as (
        select m.collection, v.trait_type, v.trait_value, m.tokens, m.premium from measured as m
        inner join marts.dim_trait_values as v on m.collection = v.collection and m.trait_code = v.trait_code
        where v.trait_value is not null
        qualify row_number() over (
            partition by m.collection order by abs(m.premium) desc, v.trait_type, v.trait_value
        ) <= {TRAITS}
    )
    select collection, to_json({{
        'trait': list(trait_type order by premium desc, trait_type, trait_value),
        'value': list(trait_value order by premium desc, trait_type, trait_value),
        'tokens': list(tokens order by premium desc, trait_type, trait_value),
        'premium': list({number("premium")} order by premium desc, trait_type, trait_value)
    }}) as part from named group by collection
"""

_MODELS_PART = f"""
    select collection, to_json({{
        'decided_at': list({iso_utc("decided_at")} order by decided_at desc, run_id, action),
        'action': list(action order by decided_at desc, run_id, action),
        'rule': list(rule order by decided_at desc, run_id, action),
        'reason': list(reason order by decided_at desc, run_id, action),
        'challenger': list(challenger order by decided_at desc, run_id, action),
        'champion': list(champion order by decided_at desc, run_id, action)
    }}) as part
    from (
        select * from ops.decision_log semi join _wanted using (collection)
        qualify row_number() over (partition by collection order by decided_at desc, run_id, action) <= {DECISIONS}
    ) group by collection
"""

_SQL = f"""
    select w.collection, to_json({{
        'index': i.part, 'sales': s.part, 'sales_are_cut': coalesce(s.cut, false), 'traits': t.part, 'models': m.part
    }})::varchar
    from _wanted as w
    left join ({_INDEX}) as i on w.collection = i.collection
    left join ({_SALES_PART}) as s on w.collection = s.collection
    left join ({_TRAITS_PART}) as t on w.collection = t.collection
    left join ({_MODELS_PART}) as m on w.collection = m.collection
    order by w.collection
"""
