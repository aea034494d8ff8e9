"""Entry point of the compiled index: many collections in one call, so that small ones cost no Python.

What is here: the layout of a batch and the loop over its collections. What is not: the replay of one
collection (`ml.index.replay`), the value of tokens (`ml.index.valuation`), tables and threads (`ml.index.update`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ml.index.factor import V_QD, V_QN, Sales, new_factor
from ml.index.params import DEFAULT_PARAMS
from ml.index.replay import N_OUT, replay
from ml.index.valuation import N_COL, N_TOK, value_tokens


class Batch(NamedTuple):
    """Collections laid end to end. R rows, M tokens, C collections; float64 and int64 unless noted.

    A collection's rows are its ``sales`` in known order, then queries: tokens to be valued as of a time and a
    visibility of their own, which nothing learns from (their price in ``y`` is never read).

    ``row_off``/``tok_off`` (C+1) delimit collections; ``trait_off`` (C+1) delimits their token-major code
    tables of ``n_types`` columns, where a token without traits has codes -1 and weights 0.
    ``first`` is the absolute 0-based position of a collection's first row here and must be a window start;
    rows before ``start`` have a known noise; ``ref_day`` is the day the token closed forms are
    evaluated at.
    """

    row_off: NDArray[np.int64]
    tok_off: NDArray[np.int64]
    trait_off: NDArray[np.int64]
    n_types: NDArray[np.int64]
    first: NDArray[np.int64]
    start: NDArray[np.int64]
    sales: NDArray[np.int64]
    anchor: NDArray[np.float64]
    ref_day: NDArray[np.float64]
    day: NDArray[np.float64]
    query_day: NDArray[np.float64]
    y: NDArray[np.float64]
    token: NDArray[np.int64]
    prefix: NDArray[np.int64]
    codes: NDArray[np.int32]
    weights: NDArray[np.float64]


def _entry_point(source_digest: int) -> Callable[..., None]:
    """Compile lazily and cache on disk.

    Numba's cache notices changes in this file but not in the modules it calls. The digest of their source
    is a captured variable, hence part of the cache key: stale machine code cannot be loaded.
    """

    @njit(nogil=True, error_model="numpy", cache=True)
    def replay_batch(
        batch: Batch,
        c0: int,
        c1: int,
        variants: Any,
        step: int,
        keep: int,
        block: int,
        min_sales: int,
        noise: Any,
        out: Any,
        tokens_out: Any,
        summary: Any,
    ) -> None:
        assert source_digest >= 0
        f = new_factor(step * (keep + 1), block)
        for k in range(c0, c1):
            r0, r1, t0, t1 = batch.row_off[k], batch.row_off[k + 1], batch.tok_off[k], batch.tok_off[k + 1]
            n, types, tokens = batch.sales[k], batch.n_types[k], t1 - t0
            rows = r1 - r0
            table = batch.codes[batch.trait_off[k] : batch.trait_off[k + 1]].reshape(tokens, types)
            table_weights = batch.weights[batch.trait_off[k] : batch.trait_off[k + 1]].reshape(tokens, types)
            token_scale = np.zeros(tokens)
            for t in range(tokens):
                if types > 0:
                    total = table_weights[t].sum()
                    token_scale[t] = 1.0 / np.sqrt(total) if total > 0.0 else 0.0
            token = batch.token[r0:r1]
            codes, weights = np.empty((types, rows), np.int32), np.empty((types, rows))
            scale, previous, last = np.empty(rows), np.empty(rows, np.int64), np.full(tokens, -1, np.int64)
            for i in range(rows):
                for t in range(types):
                    codes[t, i], weights[t, i] = table[token[i], t], table_weights[token[i], t]
                scale[i] = token_scale[token[i]]
                previous[i] = last[token[i]]
                if i < n:
                    last[token[i]] = i
            day, query_day = batch.day[r0:r1], batch.query_day[r0:r1]
            prefix = batch.prefix[r0:r1] - batch.first[k]
            u, u_query = np.empty((2, rows)), np.empty((2, rows))
            for v in range(2):
                for i in range(rows):
                    u[v, i] = variants[v, V_QD] * day[i] + variants[v, V_QN] * (batch.first[k] + i + 1)
                    u_query[v, i] = variants[v, V_QD] * query_day[i] + variants[v, V_QN] * (
                        batch.first[k] + prefix[i] + 1
                    )
            c = Sales(
                batch.first[k],
                batch.start[k] - batch.first[k],
                batch.anchor[k],
                batch.y[r0 : r0 + n],
                u,
                u_query,
                day,
                query_day,
                prefix,
                previous,
                codes,
                weights,
                scale,
                noise[:, r0 : r0 + n],
            )
            window = replay(f, c, variants, step, keep, min_sales, out[:, :, r0:r1])
            if n + batch.first[k] >= min_sales and len(tokens_out) > 0:
                value_tokens(
                    f,
                    c,
                    variants,
                    window,
                    batch.ref_day[k],
                    table,
                    table_weights,
                    token_scale,
                    last,
                    tokens_out[t0:t1],
                    summary[k],
                )

    return replay_batch


def _digest_of_compiled_sources() -> int:
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for name in ("factor.py", "replay.py", "valuation.py"):
        digest.update((here / name).read_bytes())
    return int(digest.hexdigest()[:12], 16)


#: ``replay_batch(batch, c0, c1, variants, step, keep, block, min_sales, noise, out, tokens_out, summary)``
#: replays collections c0..c1 of a ``Batch`` and values their tokens. It writes ``noise`` (2, R), ``out``
#: (2, N_OUT, R), ``tokens_out`` (M, N_TOK) and ``summary`` (C, N_COL); rows and tokens without an index
#: keep what they held. Without room in ``tokens_out`` (0, N_TOK) no token is valued.
replay_batch = _entry_point(_digest_of_compiled_sources())


def warm_up() -> None:
    """Compile the kernel (about 25 s of one core) or load it from the cache: later starts need not."""
    no_rows, no_offsets = np.empty(0), np.zeros(1, np.int64)
    batch = Batch(
        row_off=no_offsets,
        tok_off=no_offsets,
        trait_off=no_offsets,
        n_types=np.empty(0, np.int64),
        first=np.empty(0, np.int64),
        start=np.empty(0, np.int64),
        sales=np.empty(0, np.int64),
        anchor=no_rows,
        ref_day=no_rows,
        day=no_rows,
        query_day=no_rows,
        y=no_rows,
        token=np.empty(0, np.int64),
        prefix=np.empty(0, np.int64),
        codes=np.empty(0, np.int32),
        weights=no_rows,
    )
    outputs = (np.empty((2, 0)), np.empty((2, N_OUT, 0)), np.empty((0, N_TOK)), np.empty((0, N_COL)))
    replay_batch(batch, 0, 0, DEFAULT_PARAMS.variant_table(), 1, 1, 1, 1, *outputs)
