"""Features of sales that are not learnt from: what a model would have seen of them.

What is here: the spine of sales outside the index (wash trades, outliers) and their features. What is not: the
index's answers (``ml.index.queries``), the query (`ml.features.query`).

The concept. An audit must price every sale, also those the pipeline's own rules turned away: a rule that hides its
misses would make the model seem better. Their spine goes through the one ``feature_query``, and nothing is stored, so
that no trace of them can reach a later feature.
"""

from __future__ import annotations

import duckdb

from ml.compute.asof_join import sorted_asof_joins
from ml.compute.backend import Backend
from ml.features.build import CHUNK_ROWS
from ml.features.query import feature_query
from ml.index.params import DEFAULT_PARAMS, IndexParams
from ml.index.queries import index_at, sale_queries

AUDIT_KEYS = ("sale_id", "collection", "token_id", "as_of", "prefix")


def audit_features(
    con: duckdb.DuckDBPyConnection,
    into: str,
    where: str,
    backend: Backend | None = None,
    params: IndexParams = DEFAULT_PARAMS,
) -> int:
    """Leave the temporary table ``into``: keys, ``base_log`` and every feature of some sales.

    Grain: one chosen sale with an index as of its time; sales that could see fewer than three others have no row.

    Args:
        con: connection with ``marts`` and an up-to-date ``features.hedonic_index``; only temporary tables are written.
        into: name of the table.
        where: condition on the columns of ``marts.fct_sales`` that chooses the sales.
        backend: where the index of past times is computed; two threads when None.
        params: parameters of the stored index.

    Returns:
        Rows of the table.

    Raises:
        IndexInputError: the stored index is behind the marts.
    """
    sale_queries(con, "audit_queries", where)
    index_at(con, "audit_queries", "audit_indexed", backend, params)
    con.execute(
        f"""
        create or replace temp table audit_spine as
        select *, (row_number() over (order by collection, as_of, sale_id) - 1) // {CHUNK_ROWS} as chunk
        from audit_indexed
        where a_mean is not null
        """
    )
    chunks = con.execute("select distinct chunk from audit_spine order by chunk").fetchall() or [(0,)]
    for number, (chunk,) in enumerate(chunks):
        con.execute(
            f"create or replace temp table audit_chunk as select * from audit_spine where chunk = {chunk}"
        )
        verb = f"insert into {into}" if number else f"create or replace temp table {into} as"
        with sorted_asof_joins(con):
            con.execute(f"{verb} {feature_query(con, 'audit_chunk', AUDIT_KEYS)}")
    for table in ("audit_queries", "audit_indexed", "audit_spine", "audit_chunk"):
        con.execute(f"drop table if exists temp.{table}")
    rows = con.execute(f"select count(*) from {into}").fetchone()
    return int(rows[0]) if rows else 0
