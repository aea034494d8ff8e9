"""Replay of one collection: the index's estimate of every sale before it was known.

What is here: one-step-ahead predictions at every query's own visibility. What is not: the factor's arithmetic
(`ml.index.factor`), tables and threads (`ml.index.update`).

The concept. With l = L⁻¹k(window, query) a query's mean is y0 + l·z and its variance k(q, q) − l·l. L is
triangular, so a query that may see only the first p sales of the window uses the first p entries: one
factor serves every visibility, and a later sale cannot change an earlier answer. A sale's query shares the
row of L that appending the sale needs anyway. The few for which that row is not the query's (late rows,
queries across a rebuild, uncertain times of a token that sold before) are solved on their own, and so is
every query that is not a sale of the replay: it appends nothing, so it can influence nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ml.index.factor import (
    V_VK,
    V_VT,
    V_VT2,
    Factor,
    Sales,
    add_token_covariance,
    append_block,
    last_before,
    level_and_trait_covariance,
    solve,
    trait_similarity,
    trait_variance_of,
)

# Rows of the per-sale output: ln price; variances are of the value, without the sale's own noise.
OUT_MEAN, OUT_LEVEL, OUT_TOKEN, OUT_VAR, OUT_LEVEL_VAR = range(5)
N_OUT = 5


@njit(nogil=True, error_model="numpy")
def _predict_appended(
    f: Factor, c: Sales, v: int, p: Any, window: int, b0: int, b1: int, i: int, out: Any
) -> None:
    """Predict row i of the block just appended from its own row of L, cut at its prefix."""
    done, size, seen, column = b0 - window, b1 - b0, c.prefix[i] - window, i - b0
    mean, explained = 0.0, 0.0
    for j in range(min(seen, done)):
        entry = f.buffer[j * size + column]
        mean += entry * f.z[v, j]
        explained += entry * entry
    for r in range(seen - done):
        mean += f.own[column, r] * f.z[v, done + r]
        explained += f.own[column, r] ** 2
    prior = 1.0 + c.u_query[v, i] - c.u[v, window]
    out[v, OUT_MEAN, i] = c.y0 + mean
    out[v, OUT_LEVEL, i] = c.y0 + f.cum_mean[v, seen]
    out[v, OUT_TOKEN, i] = 0.0
    out[v, OUT_VAR, i] = prior + trait_variance_of(p, c.scale[i]) + p[V_VK] - explained
    out[v, OUT_LEVEL_VAR, i] = prior - f.cum_square[v, seen]


@njit(nogil=True, error_model="numpy")
def _dot_and_square(columns: Any, column: int, rows: int, z: Any) -> tuple[float, float]:
    dot, square = 0.0, 0.0
    for j in range(rows):
        dot += columns[j, column] * z[j]
        square += columns[j, column] * columns[j, column]
    return dot, square


@njit(nogil=True, error_model="numpy")
def _predict_token_parts(
    f: Factor, c: Sales, v: int, p: Any, window: int, b1: int, rows: Any, firsts: Any, out: Any
) -> None:
    """Token part of sales (``rows``, sorted by ``firsts``) whose token sold before inside the window."""
    width, height = max(1, f.block // 3), b1 - window
    for k0 in range(0, len(rows), width):
        k1 = min(len(rows), k0 + width)
        columns = f.buffer[: height * (k1 - k0)].reshape(height, k1 - k0)
        f.buffer[: height * (k1 - k0)].fill(0.0)
        for k in range(k0, k1):
            i = rows[k]
            last = last_before(i, c.prefix[i], c.previous)
            add_token_covariance(columns, k - k0, last, window, c.previous, c.day, c.query_day[i], p)
        solve(f, v, height, columns, (firsts[k0] - window) // f.block)
        for k in range(k0, k1):
            i = rows[k]
            out[v, OUT_TOKEN, i] = _dot_and_square(columns, k - k0, c.prefix[i] - window, f.z[v])[0]


@njit(nogil=True, error_model="numpy")
def _predict_alone(f: Factor, c: Sales, v: int, p: Any, window: int, b1: int, i: int, out: Any) -> None:
    """Predict a query that shares no row of L: its covariance, level and token columns are solved for it."""
    height, base, seen = b1 - window, c.u[v, window], c.prefix[i] - window
    columns = f.buffer[: height * 3].reshape(height, 3)
    s = np.empty((height, 1))
    trait_similarity(s, c.codes, c.weights, c.scale, window, b1, i, i + 1)
    prior = 1.0 + max(c.u_query[v, i], base) - base
    for j in range(height):
        level = min(prior, 1.0 + max(c.u[v, window + j], base) - base)
        columns[j, 0] = level + p[V_VT] * s[j, 0] + p[V_VT2] * s[j, 0] ** 6
        columns[j, 1] = level
        columns[j, 2] = 0.0
    last = last_before(i, c.prefix[i], c.previous)
    add_token_covariance(columns, 0, last, window, c.previous, c.day, c.query_day[i], p)
    add_token_covariance(columns, 2, last, window, c.previous, c.day, c.query_day[i], p)
    solve(f, v, height, columns, 0)
    mean, explained = _dot_and_square(columns, 0, seen, f.z[v])
    level_mean, level_explained = _dot_and_square(columns, 1, seen, f.z[v])
    out[v, OUT_MEAN, i] = c.y0 + mean
    out[v, OUT_LEVEL, i] = c.y0 + level_mean
    out[v, OUT_TOKEN, i] = _dot_and_square(columns, 2, seen, f.z[v])[0]
    out[v, OUT_VAR, i] = prior + trait_variance_of(p, c.scale[i]) + p[V_VK] - explained
    out[v, OUT_LEVEL_VAR, i] = prior - level_explained


@njit(nogil=True, error_model="numpy")
def _queries_alone(c: Sales, step: int, keep: int, min_sales: int) -> tuple[Any, Any]:
    """Which rows from ``known`` on cannot share their own row of L, and those rows ordered by prefix."""
    n, rows_and_queries = len(c.y), len(c.prefix)
    alone = np.zeros(rows_and_queries, np.bool_)
    latest = np.full((2, n + 1), -np.inf)
    for v in range(2):
        for i in range(n):
            latest[v, i + 1] = max(latest[v, i], c.u[v, i])
    for i in range(c.known, rows_and_queries):
        seen = c.prefix[i]
        if seen + c.first < min_sales:
            continue
        if i >= n:
            alone[i] = True
            continue
        window = max(0, ((seen + c.first) // step - keep) * step)
        alone[i] = window != max(0, ((i + c.first) // step - keep) * step)
        for v in range(2):
            alone[i] |= latest[v, seen] > min(c.u[v, i], c.u_query[v, i])
        if c.day[i] != c.query_day[i]:
            alone[i] |= last_before(i, seen, c.previous) >= window - c.first
    rows = np.nonzero(alone)[0]
    return alone, rows[np.argsort(c.prefix[rows])]


@njit(nogil=True, error_model="numpy")
def _repeated_tokens(c: Sales, window: int, b0: int, b1: int, min_sales: int, alone: Any) -> tuple[Any, Any]:
    """Rows of b0..b1 whose token was seen to sell inside the window, and that sale, in its order."""
    rows, firsts = np.empty(b1 - b0, np.int64), np.empty(b1 - b0, np.int64)
    count = 0
    for i in range(b0, b1):
        earliest = -1
        j = -1 if alone[i] or c.prefix[i] + c.first < min_sales else last_before(i, c.prefix[i], c.previous)
        while j >= window:
            earliest, j = j, c.previous[j]
        if earliest >= 0:
            rows[count], firsts[count] = i, earliest
            count += 1
    order = np.argsort(firsts[:count])
    return rows[:count][order], firsts[:count][order]


@njit(nogil=True, error_model="numpy")
def replay(f: Factor, c: Sales, variants: Any, step: int, keep: int, min_sales: int, out: Any) -> int:
    """Replay one collection; leaves the factor of its last state in ``f``, returns that state's first row."""
    n, capacity = len(c.y), step * (keep + 1)
    alone, queue = _queries_alone(c, step, keep, min_sales)
    head, window = 0, 0
    while True:
        fresh = window + keep * step if c.first + window > 0 else 0
        end = min(n, window + capacity)
        for b0 in range(window, end, f.block):
            b1 = min(end, b0 + f.block)
            height, size, asked = b1 - window, b1 - b0, max(b0, fresh, c.known)
            s = f.similarity[: height * size].reshape(height, size)
            trait_similarity(s, c.codes, c.weights, c.scale, window, b1, b0, b1)
            rows, firsts = _repeated_tokens(c, window, asked, max(asked, b1), min_sales, alone)
            tail = head
            while (
                tail < len(queue)
                and c.prefix[queue[tail]] <= b1
                and c.prefix[queue[tail]] < window + capacity
            ):
                tail += 1
            for v in range(2):
                p = variants[v]
                cov = f.buffer[: height * size].reshape(height, size)
                level_and_trait_covariance(
                    cov, s, c.u[v, window:b1], c.u[v, b0:b1], c.u[v, window], p[V_VT], p[V_VT2]
                )
                for i in range(b0, b1):
                    add_token_covariance(cov, i - b0, i, window, c.previous, c.day, c.day[i], p)
                if b0 > window:
                    old = f.buffer[: (b0 - window) * size].reshape(b0 - window, size)
                    solve(f, v, b0 - window, old, 0)
                append_block(f, c, v, p, window, b0, b1, asked)
                for i in range(asked, b1):
                    if not alone[i] and c.prefix[i] + c.first >= min_sales:
                        _predict_appended(f, c, v, p, window, b0, b1, i, out)
                _predict_token_parts(f, c, v, p, window, b1, rows, firsts, out)
                for q in range(head, tail):
                    _predict_alone(f, c, v, p, window, b1, queue[q], out)
            head = tail
        if n < window + capacity:
            return window
        window += step
