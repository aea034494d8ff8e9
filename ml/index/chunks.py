"""Read planned collections from DuckDB as arrays, some at a time.

What is here: costs, chunks, and the layout the kernel works on. What is not: the plan (`ml.index.tables`),
computing and writing (`ml.index.update`). The concept: a chunk bounds how many trait codes are in memory at once,
whatever the size of the lake.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.index.kernel import Batch
from ml.index.params import IndexParams
from ml.index.replay import N_OUT
from ml.index.tables import IndexInputError
from ml.index.valuation import N_COL, N_TOK


@dataclasses.dataclass
class Chunk:
    """Input and output of one chunk; ``ids`` are the collections' plan numbers in order.

    ``noise`` (2, R), ``out`` (2, N_OUT, R), ``tokens`` (M, N_TOK) and ``summary`` (C, N_COL) are the
    kernel's outputs.
    """

    number: int
    ids: NDArray[np.int64]
    batch: Batch
    row_seq: NDArray[np.int64]
    noise: NDArray[np.float64]
    out: NDArray[np.float64]
    tokens: NDArray[np.float64]
    summary: NDArray[np.float64]


def number_chunks(con: duckdb.DuckDBPyConnection, chunk_entries: int) -> int:
    """Give every planned collection a number, by falling cost, and a chunk; returns the number of chunks."""
    con.execute(
        """
        create or replace temp table index_numbered as
        with costed as (
            select
                *,
                (sales - first) * power(least(sales, 750), 2)
                + tokens * least(sales, 750) * (types + 1) as cost,
                (sales - first) + tokens * (types + 1) as entries
            from index_plan
        ),
        placed as (
            select
                *,
                row_number() over (order by cost desc, collection) - 1 as id,
                floor(
                    (sum(entries) over (order by cost desc, collection) - entries) / $chunk_entries
                ) as place
            from costed
        )
        -- a collection that is larger than a chunk leaves places without any
        select * exclude (place), dense_rank() over (order by place) - 1 as chunk
        from placed
        """,
        {"chunk_entries": chunk_entries},
    )
    con.execute(
        """
        create or replace temp table index_summary (
            id bigint, a_level double, a_level_var double, b_level double, b_level_var double
        )
        """
    )
    row = con.execute("select coalesce(max(chunk) + 1, 0) from index_numbered").fetchone()
    return int(row[0]) if row else 0


def _columns(con: duckdb.DuckDBPyConnection, sql: str, chunk: int) -> dict[str, NDArray]:
    table = con.execute(sql, {"chunk": chunk}).to_arrow_table()
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _lengths(lists: pa.ChunkedArray) -> NDArray[np.int64]:
    return pc.list_value_length(lists).to_numpy()


def _flat(lists: pa.ChunkedArray) -> NDArray:
    return pc.list_flatten(lists).to_numpy()


def _own(values: NDArray, dtype: type) -> NDArray:
    """A writable, contiguous copy where needed: the kernel is compiled for one array type."""
    return np.require(values, dtype=dtype, requirements=["C", "W", "O"])


def read_chunks(con: duckdb.DuckDBPyConnection, chunks: int, params: IndexParams) -> Iterator[Chunk]:
    """Read chunk after chunk; leaves the temp table ``index_tokens_<chunk>`` that names its tokens."""
    for chunk in range(chunks):
        plan = _columns(
            con,
            """
            select id, sales, first, start, types, anchor_log, epoch_us(known_at) / 86400e6 as ref_day
            from index_numbered
            where chunk = $chunk
            order by id
            """,
            chunk,
        )
        con.execute(
            f"""
            create or replace temp table index_tokens_{chunk} as
            select
                id, dim_tokens.token_id, trait_codes, trait_information,
                row_number() over (partition by id order by dim_tokens.token_id) - 1 as token
            from marts.dim_tokens
            inner join index_numbered using (collection)
            where chunk = {chunk}
            """
        )
        tokens = con.execute(
            f"select id, trait_codes, trait_information from index_tokens_{chunk} order by id, token"
        ).to_arrow_table()
        con.execute(f"alter table index_tokens_{chunk} drop column trait_codes")
        con.execute(f"alter table index_tokens_{chunk} drop column trait_information")
        rows = _columns(
            con,
            f"""
            select
                index_numbered.id, index_rows.seq, index_rows.day, index_rows.query_day, index_rows.log_price,
                index_rows.prefix, named.token, hedonic_index.noise_a, hedonic_index.noise_b
            from index_rows
            inner join index_numbered using (collection)
            left join index_tokens_{chunk} as named
                on index_numbered.id = named.id and index_rows.token_id = named.token_id
            left join features.hedonic_index
                on index_rows.collection = hedonic_index.collection and index_rows.seq = hedonic_index.seq
            where chunk = $chunk and index_rows.seq > index_numbered.first
            order by index_numbered.id, index_rows.seq
            """,
            chunk,
        )
        yield _assemble(chunk, plan, tokens, rows, params)


def _assemble(
    number: int, plan: dict[str, NDArray], tokens: pa.Table, rows: dict[str, NDArray], params: IndexParams
) -> Chunk:
    if np.isnan(rows["token"].astype(np.float64)).any():
        raise IndexInputError(
            "expected every sold token in marts.dim_tokens, found sales of tokens that are not there; "
            "rebuild marts.dim_tokens after marts.fct_sales"
        )
    ids, count = plan["id"], len(plan["id"])
    first_id = int(ids[0])
    token_count = np.bincount(tokens["id"].to_numpy() - first_id, minlength=count)
    # A token without traits has empty lists: codes -1 and weights 0 make it similar to nothing.
    types = np.repeat(plan["types"], token_count)
    has_traits = np.repeat(_lengths(tokens["trait_codes"]) > 0, types)
    codes, weights = np.full(len(has_traits), -1, np.int32), np.zeros(len(has_traits))
    codes[has_traits] = _flat(tokens["trait_codes"])
    weights[has_traits] = np.sqrt(np.maximum(_flat(tokens["trait_information"]), params.min_information))
    batch = Batch(
        row_off=_offsets(np.bincount(rows["id"] - first_id, minlength=count)),
        tok_off=_offsets(token_count),
        trait_off=_offsets(token_count * plan["types"]),
        n_types=_own(plan["types"], np.int64),
        first=_own(plan["first"], np.int64),
        start=_own(plan["start"], np.int64),
        sales=_own(plan["sales"] - plan["first"], np.int64),
        anchor=_own(plan["anchor_log"], np.float64),
        ref_day=_own(plan["ref_day"], np.float64),
        day=_own(rows["day"], np.float64),
        query_day=_own(rows["query_day"], np.float64),
        y=_own(rows["log_price"], np.float64),
        token=_own(rows["token"], np.int64),
        prefix=_own(rows["prefix"], np.int64),
        codes=codes,
        weights=weights,
    )
    noise = np.vstack([rows["noise_a"], rows["noise_b"]]).astype(np.float64)
    return Chunk(
        number,
        ids,
        batch,
        rows["seq"],
        np.ascontiguousarray(noise),
        np.full((2, N_OUT, len(rows["seq"])), np.nan),
        np.full((tokens.num_rows, N_TOK), np.nan),
        np.full((count, N_COL), np.nan),
    )
