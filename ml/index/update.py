"""Bring the stored index up to date: only what changed, collections in parallel, chunk by chunk.

What is here: DuckDB → arrays → compiled replay → DuckDB. What is not: which rows changed (`ml.index.tables`) and
the numbers themselves (`ml.index.kernel`).

The concept. Collections are taken largest first, so that the last ones to finish are small; a chunk bounds
how many trait codes are in memory at once, and the next chunk is read while the threads compute this one. A
tail restarts from the stored noises of the sales its window remembers, which is all the state there is.
"""

from __future__ import annotations

import dataclasses
import time

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.compute.backend import Backend, ThreadBackend
from ml.index.chunks import Chunk, number_chunks, read_chunks
from ml.index.params import DEFAULT_PARAMS, IndexParams
from ml.index.parts import computed
from ml.index.replay import OUT_LEVEL, OUT_LEVEL_VAR, OUT_MEAN, OUT_TOKEN, OUT_VAR
from ml.index.tables import forget_outdated, plan_work
from ml.index.valuation import (
    COL_A_LEVEL,
    COL_A_LEVEL_VAR,
    COL_B_LEVEL,
    COL_B_LEVEL_VAR,
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


@dataclasses.dataclass(frozen=True)
class IndexReport:
    """What an update did: collections and sales computed, tokens valued, collections that disappeared."""

    collections: int
    sales: int
    tokens: int
    removed_collections: int
    seconds: float


def update_index(
    con: duckdb.DuckDBPyConnection,
    backend: Backend | None = None,
    params: IndexParams = DEFAULT_PARAMS,
    chunk_entries: int = CHUNK_ENTRIES,
) -> IndexReport:
    """Make features.hedonic_index, token_index and index_state agree with the marts.

    Runs in the caller's transaction. An incremental update gives the numbers of a full one to 1e-8.

    Args:
        con: connection on which ``marts`` and ``features`` resolve.
        backend: where collections are computed; two threads when None.
        params: index parameters; stored values of other parameters are computed again.
        chunk_entries: bound on what is in memory at once; changes no result.

    Raises:
        IndexInputError: the marts break their contract.
    """
    began = time.monotonic()
    plan_work(con, params)
    removed = forget_outdated(con)
    chunks = number_chunks(con, chunk_entries)
    sales = tokens = 0
    for chunk in computed(read_chunks(con, chunks, params), params, backend or ThreadBackend()):
        sales += int((chunk.row_seq > _start_of_rows(chunk)).sum())
        tokens += len(chunk.tokens)
        _write(con, chunk)
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


def _start_of_rows(chunk: Chunk) -> NDArray[np.int64]:
    return np.repeat(chunk.batch.start, np.diff(chunk.batch.row_off))


def _root(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(variance, 0.0))


def _write(con: duckdb.DuckDBPyConnection, chunk: Chunk) -> None:
    """Write a computed chunk."""
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


def _write_tokens(con: duckdb.DuckDBPyConnection, chunk: Chunk) -> None:
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
