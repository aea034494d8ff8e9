"""The index as of any time and visibility: its estimate of a token that did not sell at arm's length.

What is here: valuing queries from the stored state of the index, and the queries that sales outside the index
stand for. What is not: the index itself (`ml.index.update`), which no query can change.

The concept. A stored sale keeps its noise, and the noises of a window are all the state there is. A query joins
the replay behind the sales of its collection: it is solved from the factor of the first ``prefix`` of them and
appends nothing. So a query made of a stored sale's own token, time and prefix gives the stored row, and any
number of queries leaves every other answer as it was.
"""

from __future__ import annotations

import dataclasses

import duckdb
import numpy as np
import pyarrow as pa

from ml.compute.asof_join import sorted_asof_joins
from ml.compute.backend import Backend, ThreadBackend
from ml.index.chunks import Chunk, number_chunks, read_chunks
from ml.index.params import DEFAULT_PARAMS, IndexParams
from ml.index.parts import computed
from ml.index.replay import OUT_LEVEL, OUT_LEVEL_VAR, OUT_MEAN, OUT_TOKEN, OUT_VAR
from ml.index.tables import IndexInputError
from ml.index.update import CHUNK_ENTRIES
from ml.index.valuation import N_TOK

#: Queries are numbered from here on, behind any sale of any collection.
FIRST_QUERY = 1 << 40

_PLAN = """
create or replace temp table index_plan as
with asked as (
    select collection, min(prefix) as oldest, max(prefix) as newest
    from {queries}
    where prefix >= $min_sales
    group by collection
),
traits as (
    select collection, count(*) as tokens, coalesce(max(len(trait_codes)), 0) as types
    from marts.dim_tokens
    where collection in (select collection from asked)
    group by collection
)
select
    asked.collection,
    asked.newest as sales,
    asked.newest as start,
    greatest(0, (oldest // $step - $keep) * $step) as first,
    tokens,
    types,
    state_known_at as known_at,
    anchor_log,
    coalesce(params_fingerprint = $fingerprint and state_seq >= asked.newest, false) as usable
from asked
left join features.index_state using (collection)
left join traits using (collection)
"""

_ROWS = """
create or replace temp table index_rows as
with sales as (
    select
        hedonic_index.collection, hedonic_index.token_id, hedonic_index.seq, hedonic_index.prefix, log_price,
        epoch_us(event_time) / 86400e6 as day,
        epoch_us(hedonic_index.as_of) / 86400e6 as query_day
    from features.hedonic_index
    inner join index_plan using (collection)
    inner join marts.fct_sales using (sale_id)
    where hedonic_index.seq <= index_plan.sales
),
asked as (
    select
        collection, token_id, {first} + query as seq, prefix, 0.0 as log_price,
        epoch_us(as_of) / 86400e6 as day, day as query_day
    from index_queries
    where prefix >= $min_sales
)
select * from sales
union all
select * from asked
"""

_OUTPUTS = {
    "mean": OUT_MEAN,
    "level": OUT_LEVEL,
    "token": OUT_TOKEN,
    "sd": OUT_VAR,
    "level_sd": OUT_LEVEL_VAR,
}


def sale_queries(con: duckdb.DuckDBPyConnection, into: str, where: str) -> None:
    """Leave the temporary table ``into`` with the query that each of some sales stands for.

    Grain: one sale; columns sale_id, collection, token_id, as_of, prefix, owner (the seller). It may see the
    arm's-length sales known strictly before its as-of time, and none from its own transaction on: what a sale of
    the index may see.

    Args:
        con: connection on which ``marts`` resolves.
        into: name of the table.
        where: condition on the columns of ``marts.fct_sales`` that chooses the sales.
    """
    with sorted_asof_joins(con):
        con.execute(
            f"""
            create or replace temp table {into} as
            with chosen as (
                select sale_id, collection, token_id, tx_hash, as_of, seller from marts.fct_sales where {where}
            ),
            sales as (
                select collection, tx_hash, known_at, seq
                from marts.fct_sales
                where seq is not null and collection in (select collection from chosen)
            ),
            states as (
                select collection, known_at, max(seq) as seq from sales group by collection, known_at
            ),
            transactions as (
                select collection, tx_hash, min(seq) as first_seq from sales group by collection, tx_hash
            )
            select
                chosen.sale_id,
                chosen.collection,
                chosen.token_id,
                chosen.as_of,
                least(coalesce(states.seq, 0), coalesce(first_seq - 1, states.seq, 0)) as prefix,
                chosen.seller as owner
            from chosen
            left join transactions
                on chosen.collection = transactions.collection and chosen.tx_hash = transactions.tx_hash
            asof left join states on chosen.collection = states.collection and chosen.as_of > states.known_at
            """
        )


def index_at(
    con: duckdb.DuckDBPyConnection,
    queries: str,
    into: str,
    backend: Backend | None = None,
    params: IndexParams = DEFAULT_PARAMS,
    chunk_entries: int = CHUNK_ENTRIES,
) -> None:
    """Leave the temporary table ``into``: the queries with the index's outputs as in ``features.hedonic_index``.

    Writes nothing else. Cost: one replay of each collection asked about, and about 1 ms per query.

    Args:
        con: connection on which ``marts`` and ``features`` resolve; the index must be up to date.
        queries: table with collection, token_id, as_of, prefix and any columns to pass through; not changed.
        into: table to create: the same rows and columns with ``a_mean`` … ``b_level_sd``, null where fewer than
            ``params.min_sales`` sales are visible.
        backend: where collections are computed; two threads when None.
        params: parameters the stored index was computed with.
        chunk_entries: bound on what is in memory at once; changes no result.

    Raises:
        IndexInputError: a collection's stored index is older than a query's prefix, or of other parameters.
    """
    _plan(con, queries, params)
    names = [f"{v}_{name}" for v in "ab" for name in ("mean", "level", "trait", "token", "sd", "level_sd")]
    con.execute(
        f"create or replace temp table index_answers (query bigint, {', '.join(f'{name} double' for name in names)})"
    )
    read = read_chunks(con, number_chunks(con, chunk_entries), params)
    for chunk in computed((_of_sales_only(con, chunk) for chunk in read), params, backend or ThreadBackend()):
        _collect(con, chunk)
    con.execute(
        f"""
        create or replace temp table {into} as
        select index_queries.* exclude (query), index_answers.* exclude (query)
        from index_queries
        left join index_answers using (query)
        """
    )
    for table in ("plan", "rows", "numbered", "summary", "answers", "queries"):
        con.execute(f"drop table if exists temp.index_{table}")


def _plan(con: duckdb.DuckDBPyConnection, queries: str, params: IndexParams) -> None:
    """Leave ``index_queries`` (numbered), ``index_plan`` and ``index_rows`` as the chunks read them."""
    con.execute(
        f"""
        create or replace temp table index_queries as
        select *, row_number() over (order by collection, as_of, token_id, prefix) as query from {queries}
        """
    )
    con.execute(
        _PLAN.format(queries=queries),
        {
            "min_sales": params.min_sales,
            "step": params.step,
            "keep": params.keep_steps,
            "fingerprint": params.fingerprint(),
        },
    )
    con.execute(_ROWS.format(first=FIRST_QUERY), {"min_sales": params.min_sales})
    unusable = con.execute(
        f"""
        select collection, sales, count(seq)
        from index_plan
        left join index_rows using (collection)
        where seq is null or seq < {FIRST_QUERY}
        group by collection, sales, usable
        having not usable or count(seq) != sales
        order by collection
        limit 1
        """
    ).fetchone()
    if unusable:
        raise IndexInputError(
            f"collection {unusable[0]!r}: a query sees {unusable[1]} sales, expected the stored index to hold them "
            f"under the same parameters, found {unusable[2]}; update the index first"
        )


def _of_sales_only(con: duckdb.DuckDBPyConnection, chunk: Chunk) -> Chunk:
    """The chunk without room for values of tokens, which are not computed then."""
    con.execute(f"drop table index_tokens_{chunk.number}")
    return dataclasses.replace(chunk, tokens=np.empty((0, N_TOK)))


def _collect(con: duckdb.DuckDBPyConnection, chunk: Chunk) -> None:
    """Keep the answers to a chunk's queries; NaN means no value and becomes NULL."""
    asked = chunk.row_seq >= FIRST_QUERY
    columns = {"query": chunk.row_seq[asked] - FIRST_QUERY}
    for v, variant in enumerate("ab"):
        out = chunk.out[v][:, asked]
        columns |= {f"{variant}_{name}": out[row] for name, row in _OUTPUTS.items()}
        columns[f"{variant}_trait"] = out[OUT_MEAN] - out[OUT_LEVEL] - out[OUT_TOKEN]
        for name in ("sd", "level_sd"):
            columns[f"{variant}_{name}"] = np.sqrt(np.maximum(columns[f"{variant}_{name}"], 0.0))
    answers = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    con.register("index_answered", answers)
    con.execute("insert into index_answers by name select * from index_answered")
    con.unregister("index_answered")
