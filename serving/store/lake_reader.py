"""What is published, read from the lake: digests that say what changed, and the rows of tokens and their history.

Here: SQL over predictions and marts. Not here: collections (`collection_documents`), writing (`publication`).

Concept: a digest is the count and the sum of DuckDB's row hashes. These differ between versions of DuckDB, so its
version is part of the digest: after an upgrade everything is published anew, which is right and rare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa

HISTORY_DAYS = 365
"""Days of estimates that are published, counted back from the newest of each collection."""

ROWS_AT_ONCE = 20_000

BYTES_A_ROW = 16_000
"""Memory for each row that one statement puts into documents and in order: twice what a position of a wallet takes."""


def iso_utc(column: str) -> str:
    """SQL for a timestamp as ISO 8601 text in UTC."""
    return f"strftime({column}, '%Y-%m-%dT%H:%M:%SZ')"


def number(column: str) -> str:
    """SQL for a double that is null where it is no number: JSON has no infinity."""
    return f"case when isfinite({column}) then {column} end"


def token_digests(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What the answers of a collection's tokens are made from, by collection."""
    # Each table on its own: joining them row by row would cost more than all the rest of a small publication.
    return read_digests(
        con,
        """
        select e.collection, e.digest || ':' || coalesce(h.digest, '') || ':'
            || coalesce(hash(c."chain", c.contract, c.name), 0)
        from (
            select collection, count(*) || ':' || sum(hash(t)::hugeint) as digest
            from predictions.token_estimates as t group by collection
        ) as e
        left join (
            select collection, count(*) || ':' || sum(hash(token_id, owner, held_since)::hugeint) as digest
            from marts.fct_holdings group by collection
        ) as h on e.collection = h.collection
        left join marts.dim_collections as c on e.collection = c.collection
        """,
    )


def history_digests(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What the published history of a collection is made from, by collection."""
    return read_digests(
        con,
        """
        select collection, count(*) || ':' || sum(hash(collection, token_id, as_of, estimate_eth, model_version,
            prior_version)::hugeint)
        from predictions.estimate_history group by collection
        """,
    )


def record_digests(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What the track record of a collection is made from, by collection."""
    return read_digests(
        con,
        """
        select w.collection, count(*) || ':' || max(w.seq) || ':' || sum(hash(w)::hugeint) || ':'
            || coalesce(any_value(l.digest), '')
        from predictions.prior_walk_forward as w
        left join (
            select collection, count(*) || ':' || sum(hash(sale_id, prediction_log)::hugeint) as digest
            from predictions.local_walk_forward group by collection
        ) as l on w.collection = l.collection
        group by w.collection
        """,
    )


def token_rows(con: duckdb.DuckDBPyConnection, ids: dict[str, int]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of the store's table `tokens` for these collections, in the order of its key, in batches.

    Args:
        con: A read connection of the lake.
        ids: Numbers of the collections wanted.
    """
    body = f"""{{
        'collection': e.collection, 'token_id': e.token_id, 'chain': c."chain", 'contract': c.contract,
        'estimate_eth': {number("e.estimate_eth")},
        'estimate_wei': case when isfinite(e.estimate_eth) and e.estimate_eth < 1e18
            then (round(e.estimate_eth * 1e9)::hugeint * 1000000000)::varchar end,
        'interval_80_eth': {_pair("e.lower_80_eth", "e.upper_80_eth")},
        'interval_90_eth': {_pair("e.lower_90_eth", "e.upper_90_eth")},
        'expected_eth': {number("e.expected_eth")}, 'grade': e.grade, 'tier': e.tier,
        'no_value_reason': e.no_value_reason,
        'lowest_ask_eth': {number("e.lowest_ask_eth")}, 'lowest_ask_at': {iso_utc("e.lowest_ask_at")},
        'floor_proxy_eth': {number("e.floor_proxy_eth")},
        'last_sale_eth': {number("e.last_sale_eth")}, 'owner': lower(h.owner),
        'model_version': e.model_version, 'prior_version': e.prior_version, 'snapshot_id': e.snapshot_id,
        'feature_watermark': {iso_utc("e.feature_watermark")}, 'as_of': {iso_utc("e.as_of")}
    }}"""
    sql = f"""
        select w.id, e.token_id, epoch_us(e.as_of), coalesce({number("e.estimate_eth")}, -1.0),
            {number("e.expected_eth")}, e.grade, e.tier, lower(h.owner), encode(to_json({body})::varchar)
        from predictions.token_estimates as e
        inner join _wanted as w on e.collection = w.collection
        left join (from marts.fct_holdings semi join _wanted using (collection)) as h
            on e.collection = h.collection and e.token_id = h.token_id
        left join marts.dim_collections as c on e.collection = c.collection
        order by w.id, e.token_id
    """
    return _batches(con, "predictions.token_estimates", sql, ids)


def history_rows(con: duckdb.DuckDBPyConnection, ids: dict[str, int]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of the store's table `history` for these collections, in the order of its key, in batches."""
    body = f"""{{
        'as_of': {iso_utc("e.as_of")}, 'estimate_eth': {number("e.estimate_eth")},
        'interval_80_eth': {_pair("e.lower_80_eth", "e.upper_80_eth")},
        'expected_eth': {number("e.expected_eth")}, 'grade': e.grade, 'tier': e.tier,
        'model_version': e.model_version, 'prior_version': e.prior_version
    }}"""
    sql = f"""
        with newest as (
            select collection, max(as_of) - interval {HISTORY_DAYS} day as since
            from predictions.estimate_history group by collection
        )
        select w.id, e.token_id, epoch_us(e.as_of),
            coalesce(e.model_version, '') || ' ' || coalesce(e.prior_version, ''), encode(to_json({body})::varchar)
        from predictions.estimate_history as e
        inner join _wanted as w on e.collection = w.collection
        inner join newest as n on e.collection = n.collection
        where e.as_of > n.since
        order by w.id, e.token_id, e.as_of
    """
    return _batches(con, "predictions.estimate_history", sql, ids)


def _pair(low: str, high: str) -> str:
    return f"case when isfinite({low}) and isfinite({high}) then [{low}, {high}] end"


def read_digests(con: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """Digests by name, from rows of both: with DuckDB's version, as its hashes may change with it."""
    return {name: f"{duckdb.__version__}:{digest}" for name, digest in con.execute(sql).fetchall()}


def _batches(
    con: duckdb.DuckDBPyConnection, table: str, sql: str, ids: dict[str, int]
) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of the statement in batches, for some whole collections of the table at a time."""
    for names in keys_in_parts(con, table, "collection", sorted(ids, key=ids.__getitem__)):
        numbers = pa.array([ids[name] for name in names], pa.int64())
        con.register("_wanted", pa.table({"collection": pa.array(names, pa.string()), "id": numbers}))
        try:
            for batch in con.execute(sql).to_arrow_reader(ROWS_AT_ONCE):
                yield _tuples(batch.columns)
        finally:
            con.unregister("_wanted")


def keys_in_parts(
    con: duckdb.DuckDBPyConnection, rows: str, key: str, keys: Sequence[str]
) -> list[list[str]]:
    """The keys in their order, cut so that memory holds the rows of a part; keys without rows are left out.

    Args:
        con: A read connection of the lake.
        rows: A table, or a statement in brackets.
        key: Its column with the keys.
        keys: Those wanted.
    """
    places = pa.array(range(len(keys)), pa.int64())
    con.register("_keys", pa.table({"name": pa.array(list(keys), pa.string()), "place": places}))
    try:
        parts = con.execute(
            f"""
            with counted as (
                select k.name, k.place, count(*) as rows
                from _keys as k inner join {rows} as r on k.name = r.{key}
                group by all
            ),
            fitting as (
                select greatest(parse_formatted_bytes(current_setting('memory_limit')) // $bytes, 1) as rows
            ),
            numbered as (
                select c.name, c.place, (sum(c.rows) over (order by c.place) - c.rows) // f.rows as part
                from counted as c cross join fitting as f
            )
            select list(name order by place) from numbered group by part order by part
            """,
            {"bytes": BYTES_A_ROW},
        ).fetchall()
    finally:
        con.unregister("_keys")
    return [names for (names,) in parts]


def _tuples(columns: Sequence[pa.Array]) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in columns), strict=True))
