"""Bring the stored index up to date: only what changed, collections in parallel, chunk by chunk.

What is here: DuckDB → arrays → compiled replay → DuckDB. What is not: which rows changed (``tables``) and
the numbers themselves (``kernel``).

The concept. Collections are taken largest first, so that the last ones to finish are small; a chunk bounds
how many trait codes are in memory at once, and the next chunk is read while the threads compute this one. A
tail restarts from the stored noises of the sales its window remembers, which is all the state there is.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.index.kernel import Batch, replay_batch
from ml.index.params import DEFAULT_PARAMS, IndexParams
from ml.index.replay import N_OUT, OUT_LEVEL, OUT_LEVEL_VAR, OUT_MEAN, OUT_TOKEN, OUT_VAR
from ml.index.tables import IndexInputError, create_tables, forget_outdated, plan_work
from ml.index.valuation import (
    COL_A_LEVEL,
    COL_A_LEVEL_VAR,
    COL_B_LEVEL,
    COL_B_LEVEL_VAR,
    N_COL,
    N_TOK,
    TOK_A_CROSS,
    TOK_A_SQUARE,
    TOK_A_TOKEN,
    TOK_A_TRAIT,
    TOK_A_VAR,
    TOK_B_TOKEN,
    TOK_B_TRAIT,
)

#: Trait codes, sales and tokens one chunk may hold: about 20 bytes each.
CHUNK_ENTRIES = 4_000_000
#: Calls per thread and chunk: enough to balance, few enough that a call is worth its overhead.
CALLS_PER_THREAD = 8


@dataclasses.dataclass(frozen=True)
class IndexReport:
    """What an update did: collections and sales computed, tokens valued, collections that disappeared."""

    collections: int
    sales: int
    tokens: int
    removed_collections: int
    seconds: float


@dataclasses.dataclass
class _Chunk:
    """Input and output of one chunk; ``ids`` are the collections' plan numbers in order."""

    number: int
    ids: NDArray[np.int64]
    batch: Batch
    row_seq: NDArray[np.int64]
    noise: NDArray[np.float64]
    out: NDArray[np.float64]
    tokens: NDArray[np.float64]
    summary: NDArray[np.float64]


def update_index(
    con: duckdb.DuckDBPyConnection,
    threads: int = 2,
    params: IndexParams = DEFAULT_PARAMS,
    chunk_entries: int = CHUNK_ENTRIES,
) -> IndexReport:
    """Make features.hedonic_index, token_index and index_state agree with the marts.

    Runs in the caller's transaction. An incremental update gives the numbers of a full one to 1e-8.

    Args:
        con: connection on which ``marts`` and ``features`` resolve.
        threads: worker threads; BLAS itself is held to one thread each.
        params: index parameters; stored values of other parameters are computed again.
        chunk_entries: bound on what is in memory at once; changes no result.

    Raises:
        IndexInputError: the marts break their contract.
    """
    # The BLAS numba calls is scipy's: it must be loaded before its thread count can be limited.
    import scipy.linalg.cython_blas  # noqa: F401
    from threadpoolctl import threadpool_limits

    began = time.monotonic()
    create_tables(con)
    plan_work(con, params)
    removed = forget_outdated(con)
    chunks = _number_chunks(con, chunk_entries)
    sales = tokens = 0
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        computing: tuple[_Chunk, list[Future[None]]] | None = None
        for chunk in _read_chunks(con, chunks, params):
            submitted = (chunk, _submit(pool, chunk, params, threads))
            if computing is not None:
                _finish(con, *computing)
            computing = submitted
            sales += int((chunk.row_seq > _start_of_rows(chunk)).sum())
            tokens += len(chunk.tokens)
        if computing is not None:
            _finish(con, *computing)
    _write_states(con, params)
    row = con.execute("select count(*) from index_plan").fetchone()
    for table in (
        "index_current",
        "index_work",
        "index_rows",
        "index_plan",
        "index_numbered",
        "index_summary",
    ):
        con.execute(f"drop table if exists temp.{table}")
    return IndexReport(int(row[0]) if row else 0, sales, tokens, removed, time.monotonic() - began)


def _number_chunks(con: duckdb.DuckDBPyConnection, chunk_entries: int) -> int:
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
        )
        select
            *,
            row_number() over (order by cost desc, collection) - 1 as id,
            cast(floor(
                (sum(entries) over (order by cost desc, collection) - entries) / $chunk_entries
            ) as bigint) as chunk
        from costed
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


def _read_chunks(con: duckdb.DuckDBPyConnection, chunks: int, params: IndexParams) -> Iterator[_Chunk]:
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
) -> _Chunk:
    if np.isnan(rows["token"].astype(np.float64)).any():
        raise IndexInputError(
            "expected every sold token in marts.dim_tokens, found sales of tokens that are not there; "
            "rebuild marts.dim_tokens after marts.fct_sales"
        )
    ids, count = plan["id"], len(plan["id"])
    first_id = int(ids[0])
    token_count = np.bincount(tokens["id"].to_numpy() - first_id, minlength=count)
    # A token whose traits nobody told has empty lists: codes -1 and weights 0 make it similar to nothing.
    types = np.repeat(plan["types"], token_count)
    told = np.repeat(_lengths(tokens["trait_codes"]) > 0, types)
    codes, weights = np.full(len(told), -1, np.int32), np.zeros(len(told))
    codes[told] = _flat(tokens["trait_codes"])
    weights[told] = np.sqrt(np.maximum(_flat(tokens["trait_information"]), params.min_information))
    batch = Batch(
        row_off=_offsets(np.bincount(rows["id"] - first_id, minlength=count)),
        tok_off=_offsets(token_count),
        trait_off=_offsets(token_count * plan["types"]),
        n_types=_own(plan["types"], np.int64),
        first=_own(plan["first"], np.int64),
        start=_own(plan["start"], np.int64),
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
    return _Chunk(
        number,
        ids,
        batch,
        rows["seq"],
        np.ascontiguousarray(noise),
        np.full((2, N_OUT, len(rows["seq"])), np.nan),
        np.full((tokens.num_rows, N_TOK), np.nan),
        np.full((count, N_COL), np.nan),
    )


def _submit(pool: ThreadPoolExecutor, chunk: _Chunk, params: IndexParams, threads: int) -> list[Future[None]]:
    """Split a chunk (its collections fall in cost) into calls of similar cost."""
    sizes = np.diff(chunk.batch.row_off)
    window = np.minimum(chunk.batch.first + sizes, 750)
    cost = np.cumsum(sizes * window**2 + np.diff(chunk.batch.trait_off) * window + 1)
    target = cost[-1] / (threads * CALLS_PER_THREAD)
    edges = np.searchsorted(cost, target * np.arange(1, threads * CALLS_PER_THREAD)) + 1
    bounds = sorted({0, len(sizes), *(int(edge) for edge in edges if edge < len(sizes))})
    return [
        pool.submit(
            replay_batch,
            chunk.batch,
            c0,
            c1,
            params.variant_table(),
            params.step,
            params.keep_steps,
            params.block,
            params.min_sales,
            chunk.noise,
            chunk.out,
            chunk.tokens,
            chunk.summary,
        )
        for c0, c1 in itertools.pairwise(bounds)
    ]


def _start_of_rows(chunk: _Chunk) -> NDArray[np.int64]:
    return np.repeat(chunk.batch.start, np.diff(chunk.batch.row_off))


def _root(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(variance, 0.0))


def _finish(con: duckdb.DuckDBPyConnection, chunk: _Chunk, futures: list[Future[None]]) -> None:
    """Wait for a chunk and write it."""
    for future in futures:
        future.result()
    counts = np.diff(chunk.batch.row_off)
    fresh = chunk.row_seq > _start_of_rows(chunk)
    columns: dict[str, NDArray] = {"id": np.repeat(chunk.ids, counts)[fresh], "seq": chunk.row_seq[fresh]}
    for v, name in enumerate("ab"):
        out = chunk.out[v][:, fresh]
        columns[f"{name}_mean"] = out[OUT_MEAN]
        columns[f"{name}_level"] = out[OUT_LEVEL]
        columns[f"{name}_trait"] = out[OUT_MEAN] - out[OUT_LEVEL] - out[OUT_TOKEN]
        columns[f"{name}_token"] = out[OUT_TOKEN]
        columns[f"{name}_sd"] = _root(out[OUT_VAR])
        columns[f"{name}_level_sd"] = _root(out[OUT_LEVEL_VAR])
        columns[f"noise_{name}"] = chunk.noise[v][fresh]
    _insert(
        con,
        columns,
        """
        insert into features.hedonic_index
        select
            sale_id, index_rows.collection, token_id, index_rows.seq, index_rows.known_at, as_of, prefix,
            a_mean, a_level, a_trait, a_token, a_sd, a_level_sd,
            b_mean, b_level, b_trait, b_token, b_sd, b_level_sd,
            log_price, log_price - a_mean, noise_a, noise_b, row_hash
        from index_computed
        inner join index_numbered using (id)
        inner join index_rows
            on index_numbered.collection = index_rows.collection and index_computed.seq = index_rows.seq
        order by index_rows.collection, index_rows.seq
        """,
    )
    _write_tokens(con, chunk)


def _write_tokens(con: duckdb.DuckDBPyConnection, chunk: _Chunk) -> None:
    counts = np.diff(chunk.batch.tok_off)
    level = np.repeat(chunk.summary, counts, axis=0)
    t = chunk.tokens
    columns: dict[str, NDArray] = {
        "id": np.repeat(chunk.ids, counts),
        "token": np.concatenate([np.arange(n) for n in counts]),
        "a_mean": level[:, COL_A_LEVEL] + t[:, TOK_A_TRAIT] + t[:, TOK_A_TOKEN],
        "a_level": level[:, COL_A_LEVEL],
        "a_trait": t[:, TOK_A_TRAIT],
        "a_token": t[:, TOK_A_TOKEN],
        "a_sd": _root(t[:, TOK_A_VAR]),
        "a_level_sd": _root(level[:, COL_A_LEVEL_VAR]),
        "b_mean": level[:, COL_B_LEVEL] + t[:, TOK_B_TRAIT] + t[:, TOK_B_TOKEN],
        "b_level": level[:, COL_B_LEVEL],
        "b_trait": t[:, TOK_B_TRAIT],
        "b_token": t[:, TOK_B_TOKEN],
        "b_level_sd": _root(level[:, COL_B_LEVEL_VAR]),
        "a_history_cross": t[:, TOK_A_CROSS],
        "a_history_square": t[:, TOK_A_SQUARE],
    }
    names = ", ".join(f"index_computed.{name}" for name in columns if name not in ("id", "token"))
    _insert(
        con,
        columns,
        f"""
        insert into features.token_index
        select collection, token_id, sales, known_at, {names}
        from index_computed
        inner join index_numbered using (id)
        inner join index_tokens_{chunk.number} as named
            on index_computed.id = named.id and index_computed.token = named.token
        where not isnan(a_level)
        order by collection, token_id
        """,
    )
    con.execute(f"drop table index_tokens_{chunk.number}")


def _insert(con: duckdb.DuckDBPyConnection, columns: dict[str, NDArray], sql: str) -> None:
    """Run an insert that reads ``index_computed``; NaN means no value and becomes NULL."""
    computed = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    con.register("index_computed", computed)
    con.execute(sql)
    con.unregister("index_computed")


def _write_states(con: duckdb.DuckDBPyConnection, params: IndexParams) -> None:
    con.execute(
        """
        insert into features.index_state
        select collection, sales, known_at, sales_hash, traits_hash, $fingerprint, anchor_log
        from index_plan
        """,
        {"fingerprint": params.fingerprint()},
    )
