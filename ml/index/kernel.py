"""The hot loop: blocked, append-only Cholesky factors of the hedonic index, compiled without the GIL.

What is here: the replay of a batch of collections (one-step-ahead predictions per sale) and the closed forms that
value every token from the last state. What is not: reading tables, threads, parameters' meaning (``params``).

The concept. A sale appends one row to the factor L of K = k(window, window) + diag(R). With z = L⁻¹(y − y0) and
l = L⁻¹k(window, query), a query's mean is y0 + l·z and its variance k(q, q) − l·l. Because L is triangular, a query that
may see only the first p sales of the window uses the first p entries of l and z: one factor serves every visibility.
Rows are appended ``block`` at a time, so the work is matrix products instead of one triangular solve per sale. As long as a query
is later than every sale it sees, its level column 1 + min(u_q, u_j) − u_base does not depend on the query: one extra
column, appended like z, splits every mean into its level part. The few queries for which this does not hold (late
rows, queries across a rebuild) are solved on their own.

Everything compiled lives in this one file: numba's cache follows the file of the outermost function, so a
helper in another module could change without the cached machine code noticing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Columns of the variant table (params.Variant.as_row).
V_QN, V_QD, V_R, V_VT, V_VT2, V_VK, V_DECAY, V_HUB = range(8)
# Rows of the per-sale output: ln price; variances are of the value, without the sale's own noise.
OUT_MEAN, OUT_LEVEL, OUT_TOKEN, OUT_VAR, OUT_LEVEL_VAR = range(5)
N_OUT = 5
# Columns of the per-token output. CROSS and SQUARE are what the token's own history takes off A's variance.
TOK_A_TRAIT, TOK_A_TOKEN, TOK_A_VAR, TOK_A_CROSS, TOK_A_SQUARE, TOK_B_TRAIT, TOK_B_TOKEN = range(7)
N_TOK = 7
# Columns of the per-collection output.
COL_A_LEVEL, COL_A_LEVEL_VAR, COL_B_LEVEL, COL_B_LEVEL_VAR = range(4)
N_COL = 4


class Batch(NamedTuple):
    """Collections laid end to end. R rows (sales), M tokens, C collections; float64 and int64 unless said.

    ``row_off``/``tok_off`` (C+1) delimit collections; ``trait_off`` (C+1) delimits their token-major code tables of
    ``n_types`` columns. ``first`` is the absolute 0-based position of a collection's first row here and must
    be a window start; rows before ``start`` bring their noise with them; ``ref_day`` is the day the
    token closed forms are evaluated at.
    """

    row_off: NDArray[np.int64]
    tok_off: NDArray[np.int64]
    trait_off: NDArray[np.int64]
    n_types: NDArray[np.int64]
    first: NDArray[np.int64]
    start: NDArray[np.int64]
    anchor: NDArray[np.float64]
    ref_day: NDArray[np.float64]
    day: NDArray[np.float64]
    query_day: NDArray[np.float64]
    y: NDArray[np.float64]
    token: NDArray[np.int64]
    prefix: NDArray[np.int64]
    codes: NDArray[np.int32]
    weights: NDArray[np.float64]


class Sales(NamedTuple):
    """One collection's rows in known order, positions local to its first row; per-variant arrays are (2, n).

    ``u`` is the clock of the level (days and trades), ``previous`` the same token's sale before (-1: none),
    ``codes``/``weights`` are (types, n), ``scale`` is 1/√W or 0 without traits, ``known`` the first row whose noise
    is to be found, ``first`` the absolute position of row 0.
    """

    first: int
    known: int
    y0: float
    y: NDArray[np.float64]
    u: NDArray[np.float64]
    u_query: NDArray[np.float64]
    day: NDArray[np.float64]
    query_day: NDArray[np.float64]
    prefix: NDArray[np.int64]
    previous: NDArray[np.int64]
    codes: NDArray[np.int32]
    weights: NDArray[np.float64]
    scale: NDArray[np.float64]
    noise: NDArray[np.float64]


class Factor(NamedTuple):
    """Workspace for one collection, both variants: L in column panels, inverted diagonal tiles, and two columns.

    Panel J holds the rows of L of block J left of the diagonal, transposed: (J*block, rows in block), C order.
    """

    panels: NDArray[np.float64]
    tiles: NDArray[np.float64]
    z: NDArray[np.float64]
    x: NDArray[np.float64]
    cum_mean: NDArray[np.float64]
    cum_square: NDArray[np.float64]
    buffer: NDArray[np.float64]
    similarity: NDArray[np.float64]
    product: NDArray[np.float64]
    own: NDArray[np.float64]
    block: int


@njit(nogil=True, cache=True)
def _new_factor(capacity: int, block: int) -> Factor:
    blocks = capacity // block
    width = max(block, 3)
    return Factor(
        np.empty((2, block * block * (blocks * (blocks - 1) // 2) + 1)),
        np.empty((2, blocks, block * block)),
        np.empty((2, capacity)),
        np.empty((2, capacity)),
        np.zeros((2, capacity + 1)),
        np.zeros((2, capacity + 1)),
        np.empty(capacity * width),
        np.empty(capacity * width),
        np.empty(block * width),
        np.empty((block, block)),
        block,
    )


@njit(nogil=True, cache=True)
def _solve(f: Factor, v: int, rows: int, columns, tile0: int) -> None:
    """Overwrite ``columns`` (rows, m) by L⁻¹ columns; entries above tile ``tile0`` are known to be zero."""
    block, m = f.block, columns.shape[1]
    flat = columns.reshape(rows * m)
    skip = tile0 * block
    for tile in range(tile0, (rows + block - 1) // block):
        top = tile * block
        size = min(block, rows - top)
        target = flat[top * m : (top + size) * m].reshape(size, m)
        if tile > tile0:
            offset = block * block * (tile * (tile - 1) // 2)
            panel = f.panels[v, offset + skip * size : offset + top * size].reshape(top - skip, size)
            product = f.product[: size * m].reshape(size, m)
            np.dot(panel.T, flat[skip * m : top * m].reshape(top - skip, m), product)
            target -= product
        inverse = f.tiles[v, tile, : size * size].reshape(size, size)
        product = f.product[: size * m].reshape(size, m)
        np.dot(inverse, target, product)
        target[:, :] = product


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _similarity(out, codes, weights, scale, j0: int, j1: int, i0: int, i1: int) -> None:
    """out[j, i] = s between rows j0..j1 and i0..i1: shared trait weight over √(W_j W_i)."""
    for j in range(j0, j1):
        row = out[j - j0]
        row[:] = 0.0
        for t in range(codes.shape[0]):
            code, weight = codes[t, j], weights[t, j]
            others = codes[t, i0:i1]
            for i in range(i1 - i0):
                row[i] += weight if others[i] == code else 0.0
        for i in range(i1 - i0):
            row[i] *= scale[j] * scale[i0 + i]


@njit(nogil=True, cache=True)
def _add_level_and_traits(out, s, u_rows, u_columns, base: float, vt: float, vt2: float) -> None:
    for j in range(out.shape[0]):
        u_j = max(u_rows[j], base) - base + 1.0
        for i in range(out.shape[1]):
            u_i = max(u_columns[i], base) - base + 1.0
            s_ij = s[j, i]
            s2 = s_ij * s_ij
            out[j, i] = min(u_j, u_i) + vt * s_ij + vt2 * s2 * s2 * s2


@njit(nogil=True, cache=True)
def _add_token_history(out, column: int, last: int, low: int, previous, day, at: float, p) -> None:
    """Add vk·exp(−|Δt|/decay) for the token's sales from row ``last`` back to ``low`` (row low is out[0])."""
    j = last
    while j >= low:
        out[j - low, column] += p[V_VK] * np.exp(-abs(at - day[j]) / p[V_DECAY])
        j = previous[j]


@njit(nogil=True, cache=True)
def _last_before(row: int, limit: int, previous) -> int:
    """Latest sale of the same token before ``row`` and before ``limit`` (-1: none)."""
    j = previous[row]
    while j >= limit:
        j = previous[j]
    return j


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _append(f: Factor, c: Sales, v: int, p, window: int, b0: int, b1: int, asked: int) -> None:
    """Append rows b0..b1, whose solved covariances are in ``buffer``: rows of L, z, level column; noises from row ``asked`` on."""
    done, size = b0 - window, b1 - b0
    tile, base, L = done // f.block, c.u[v, window], f.own
    old = f.buffer[: done * size].reshape(done, size)
    cov = f.buffer[done * size : (done + size) * size].reshape(size, size)
    mean_old, level_old = np.zeros(size), np.zeros(size)
    if done > 0:
        cov -= np.dot(old.T, old)
        mean_old[:] = np.dot(old.T, f.z[v, :done])
        level_old[:] = np.dot(old.T, f.x[v, :done])
    for i in range(size):
        mean, level, explained = mean_old[i], level_old[i], 0.0
        for r in range(i):
            acc = cov[r, i]
            for q in range(r):
                acc -= L[i, q] * L[r, q]
            acc /= L[r, r]
            L[i, r] = acc
            mean += acc * f.z[v, done + r]
            level += acc * f.x[v, done + r]
            explained += acc * acc
        row, k = b0 + i, done + i
        variance = cov[i, i] - explained
        surprise = c.y[row] - c.y0 - mean
        if row >= asked:
            error = abs(surprise) / np.sqrt(variance + p[V_R])
            c.noise[v, row] = p[V_R] * max(1.0, error / p[V_HUB]) ** 2
        L[i, i] = np.sqrt(variance + c.noise[v, row])
        f.z[v, k] = surprise / L[i, i]
        f.x[v, k] = (1.0 + max(c.u[v, row], base) - base - level) / L[i, i]
        f.cum_mean[v, k + 1] = f.cum_mean[v, k] + f.x[v, k] * f.z[v, k]
        f.cum_square[v, k + 1] = f.cum_square[v, k] + f.x[v, k] * f.x[v, k]
    if done > 0:
        offset = f.block * f.block * (tile * (tile - 1) // 2)
        f.panels[v, offset : offset + done * size] = f.buffer[: done * size]
    inverse = f.tiles[v, tile, : size * size].reshape(size, size)
    inverse[:, :] = 0.0
    for r in range(size):
        for q in range(r):
            inverse[r, : q + 1] -= L[r, q] * inverse[q, : q + 1]
        inverse[r, r] = 1.0
        inverse[r, : r + 1] /= L[r, r]


@njit(nogil=True, cache=True)
def _trait_diagonal(p, scale: float) -> float:
    return p[V_VT] + p[V_VT2] if scale > 0.0 else 0.0


@njit(nogil=True, cache=True)
def _predict_appended(f: Factor, c: Sales, v: int, p, window: int, b0: int, b1: int, i: int, out) -> None:
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
    out[v, OUT_VAR, i] = prior + _trait_diagonal(p, c.scale[i]) + p[V_VK] - explained
    out[v, OUT_LEVEL_VAR, i] = prior - f.cum_square[v, seen]


@njit(nogil=True, cache=True)
def _dot_and_square(columns, column: int, rows: int, z):
    dot, square = 0.0, 0.0
    for j in range(rows):
        dot += columns[j, column] * z[j]
        square += columns[j, column] * columns[j, column]
    return dot, square


@njit(nogil=True, cache=True)
def _predict_token_parts(f: Factor, c: Sales, v: int, p, window: int, b1: int, rows, firsts, out) -> None:
    """Token part of sales (``rows``, sorted by ``firsts``) whose token sold before inside the window."""
    width, height = max(1, f.block // 3), b1 - window
    for k0 in range(0, len(rows), width):
        k1 = min(len(rows), k0 + width)
        columns = f.buffer[: height * (k1 - k0)].reshape(height, k1 - k0)
        columns[:, :] = 0.0
        for k in range(k0, k1):
            i = rows[k]
            last = _last_before(i, c.prefix[i], c.previous)
            _add_token_history(columns, k - k0, last, window, c.previous, c.day, c.query_day[i], p)
        _solve(f, v, height, columns, (firsts[k0] - window) // f.block)
        for k in range(k0, k1):
            i = rows[k]
            out[v, OUT_TOKEN, i] = _dot_and_square(columns, k - k0, c.prefix[i] - window, f.z[v])[0]


@njit(nogil=True, cache=True)
def _predict_alone(f: Factor, c: Sales, v: int, p, window: int, b1: int, i: int, out) -> None:
    """Predict a query that shares no row of L: its covariance, level and token columns are solved for it."""
    height, base, seen = b1 - window, c.u[v, window], c.prefix[i] - window
    columns = f.buffer[: height * 3].reshape(height, 3)
    s = np.empty((height, 1))
    _similarity(s, c.codes, c.weights, c.scale, window, b1, i, i + 1)
    prior = 1.0 + max(c.u_query[v, i], base) - base
    for j in range(height):
        level = min(prior, 1.0 + max(c.u[v, window + j], base) - base)
        columns[j, 0] = level + p[V_VT] * s[j, 0] + p[V_VT2] * s[j, 0] ** 6
        columns[j, 1] = level
        columns[j, 2] = 0.0
    last = _last_before(i, c.prefix[i], c.previous)
    _add_token_history(columns, 0, last, window, c.previous, c.day, c.query_day[i], p)
    _add_token_history(columns, 2, last, window, c.previous, c.day, c.query_day[i], p)
    _solve(f, v, height, columns, 0)
    mean, explained = _dot_and_square(columns, 0, seen, f.z[v])
    level_mean, level_explained = _dot_and_square(columns, 1, seen, f.z[v])
    out[v, OUT_MEAN, i] = c.y0 + mean
    out[v, OUT_LEVEL, i] = c.y0 + level_mean
    out[v, OUT_TOKEN, i] = _dot_and_square(columns, 2, seen, f.z[v])[0]
    out[v, OUT_VAR, i] = prior + _trait_diagonal(p, c.scale[i]) + p[V_VK] - explained
    out[v, OUT_LEVEL_VAR, i] = prior - level_explained


@njit(nogil=True, cache=True)
def _queries_alone(c: Sales, step: int, keep: int, min_sales: int):
    """Which rows from ``known`` on cannot share their own row of L, and those rows ordered by prefix."""
    n = len(c.y)
    alone = np.zeros(n, np.bool_)
    latest = np.full((2, n + 1), -np.inf)
    for v in range(2):
        for i in range(n):
            latest[v, i + 1] = max(latest[v, i], c.u[v, i])
    for i in range(c.known, n):
        seen = c.prefix[i]
        if seen + c.first < min_sales:
            continue
        window = max(0, ((seen + c.first) // step - keep) * step)
        alone[i] = window != max(0, ((i + c.first) // step - keep) * step)
        for v in range(2):
            alone[i] |= latest[v, seen] > min(c.u[v, i], c.u_query[v, i])
        if c.day[i] != c.query_day[i]:
            alone[i] |= _last_before(i, seen, c.previous) >= window - c.first
    rows = np.nonzero(alone)[0]
    return alone, rows[np.argsort(c.prefix[rows], kind="mergesort")]


@njit(nogil=True, cache=True)
def _repeated_tokens(c: Sales, window: int, b0: int, b1: int, min_sales: int, alone):
    """Rows of b0..b1 whose token was seen to sell inside the window, and its first such sale; by first sale."""
    rows, firsts = np.empty(b1 - b0, np.int64), np.empty(b1 - b0, np.int64)
    count = 0
    for i in range(b0, b1):
        earliest = -1
        j = -1 if alone[i] or c.prefix[i] + c.first < min_sales else _last_before(i, c.prefix[i], c.previous)
        while j >= window:
            earliest, j = j, c.previous[j]
        if earliest >= 0:
            rows[count], firsts[count] = i, earliest
            count += 1
    order = np.argsort(firsts[:count])
    return rows[:count][order], firsts[:count][order]


@njit(nogil=True, cache=True)
def _replay_one(f: Factor, c: Sales, variants, step: int, keep: int, min_sales: int, out) -> int:
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
            _similarity(s, c.codes, c.weights, c.scale, window, b1, b0, b1)
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
                _add_level_and_traits(
                    cov, s, c.u[v, window:b1], c.u[v, b0:b1], c.u[v, window], p[V_VT], p[V_VT2]
                )
                for i in range(b0, b1):
                    _add_token_history(cov, i - b0, i, window, c.previous, c.day, c.day[i], p)
                if b0 > window:
                    old = f.buffer[: (b0 - window) * size].reshape(b0 - window, size)
                    _solve(f, v, b0 - window, old, 0)
                _append(f, c, v, p, window, b0, b1, asked)
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


@njit(nogil=True, cache=True)
def _weights_of_sales(f: Factor, v: int, rows: int):
    """α = K⁻¹(y − y0) = L⁻ᵀz for the ``rows`` sales of the last state."""
    alpha = f.z[v, :rows].copy()
    for tile in range((rows - 1) // f.block, -1, -1):
        top = tile * f.block
        size = min(f.block, rows - top)
        inverse = f.tiles[v, tile, : size * size].reshape(size, size)
        alpha[top : top + size] = np.dot(inverse.T, alpha[top : top + size])
        if tile > 0:
            offset = f.block * f.block * (tile * (tile - 1) // 2)
            panel = f.panels[v, offset : offset + top * size].reshape(top, size)
            alpha[:top] -= np.dot(panel, alpha[top : top + size])
    return alpha


@njit(nogil=True, cache=True)
def _solve_trait_values(f: Factor, c: Sales, p, window: int):
    """L⁻¹ of one column per trait value seen in the window, as rows, and each code's row (-1: not seen)."""
    rows = len(c.y) - window
    codes = c.codes[:, window:]
    row_of = np.full(codes.max() + 1, -1, np.int64)
    seen = 0
    for t in range(codes.shape[0]):
        for j in range(rows):
            if row_of[codes[t, j]] < 0:
                row_of[codes[t, j]] = seen
                seen += 1
    one_hot = np.zeros((seen, rows))
    for t in range(codes.shape[0]):
        for j in range(rows):
            one_hot[row_of[codes[t, j]], j] = p[V_VT] * c.scale[window + j]
    for v0 in range(0, seen, f.block):
        v1 = min(seen, v0 + f.block)
        columns = f.buffer[: rows * (v1 - v0)].reshape(rows, v1 - v0)
        columns[:, :] = one_hot[v0:v1].T
        _solve(f, 0, rows, columns, 0)
        one_hot[v0:v1] = columns.T
    return one_hot, row_of


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _trait_parts(c: Sales, variants, alpha, window: int, codes, weights, scale: float, s):
    """Trait part of one token under both variants; leaves its similarity to every sale in ``s``."""
    rows = len(c.y) - window
    s[:rows] = 0.0
    for t in range(len(codes)):
        others = c.codes[t, window:]
        for j in range(rows):
            s[j] += weights[t] if others[j] == codes[t] else 0.0
    a, b = 0.0, 0.0
    vt_a, vt_b, vt2_b = variants[0, V_VT], variants[1, V_VT], variants[1, V_VT2]
    for j in range(rows):
        s_j = s[j] * scale * c.scale[window + j]
        s[j] = s_j
        s2 = s_j * s_j
        a += vt_a * s_j * alpha[0, j]
        b += (vt_b * s_j + vt2_b * s2 * s2 * s2) * alpha[1, j]
    return a, b


@njit(nogil=True, cache=True)
def _value_tokens(
    f: Factor, c: Sales, variants, window: int, ref_day: float, codes, weights, scale, last, out, summary
) -> None:
    """Every token's parts at the last state, evaluated at ``ref_day``: closed forms, no solve per token.

    A's covariance with the sales is linear in the token's one-hot traits, so its variance needs one solved column per
    *trait value*; where a collection has more values than tokens, the tokens' own columns are solved instead. The token's own
    sales add a rank-one correction that decays with age: CROSS and SQUARE let a reader move it to a later day.
    """
    rows, tokens, p = len(c.y) - window, len(scale), variants[0]
    alpha = np.empty((2, rows))
    for v in range(2):
        alpha[v] = _weights_of_sales(f, v, rows)
    prior = np.empty(2)
    for v in range(2):
        u_ref = variants[v, V_QD] * ref_day + variants[v, V_QN] * (c.first + len(c.y) + 1)
        prior[v] = 1.0 + u_ref - c.u[v, window]
        summary[2 * v] = c.y0 + f.cum_mean[v, rows]
        summary[2 * v + 1] = prior[v] - f.cum_square[v, rows]
    with_traits = codes.shape[1] > 0
    by_value, row_of = np.empty((0, rows)), np.empty(0, np.int64)
    direct = False
    if with_traits:
        distinct = len(np.unique(c.codes[:, window:].copy().reshape(codes.shape[1] * rows)))
        direct = distinct > tokens
        if not direct:
            by_value, row_of = _solve_trait_values(f, c, p, window)
    has_history = last >= window
    order = np.concatenate((np.nonzero(~has_history)[0], np.nonzero(has_history)[0]))
    plain = tokens - has_history.sum()
    firsts = np.full(tokens, -1, np.int64)
    for k in range(plain, tokens):
        j = last[order[k]]
        while j >= window:
            firsts[k], j = j, c.previous[j]
    order[plain:] = order[plain:][np.argsort(firsts[plain:])]
    firsts[plain:] = np.sort(firsts[plain:])
    width = max(1, f.block // 3)
    solved = np.empty((width, rows))
    similar = np.empty((width, rows))
    k0 = 0
    while k0 < tokens:
        k1 = min(tokens, k0 + width) if k0 >= plain else min(plain, k0 + width)
        m = k1 - k0
        for k in range(m):
            token = order[k0 + k]
            solved[k] = f.x[0, :rows]
            a, b = _trait_parts(
                c, variants, alpha, window, codes[token], weights[token], scale[token], similar[k]
            )
            out[token, TOK_A_TRAIT], out[token, TOK_B_TRAIT] = a, b
            if with_traits and not direct:
                for t in range(codes.shape[1]):
                    code = codes[token, t]
                    if code < len(row_of) and row_of[code] >= 0:
                        solved[k] += (scale[token] * weights[token, t]) * by_value[row_of[code]]
        if direct:
            columns = f.buffer[: rows * m].reshape(rows, m)
            columns[:, :] = p[V_VT] * similar[:m].T
            _solve(f, 0, rows, columns, 0)
            solved[:m] += columns.T
        columns = f.buffer[: rows * m].reshape(rows, m)
        if k0 >= plain:
            columns[:, :] = 0.0
            for k in range(m):
                token = order[k0 + k]
                for v in range(2):
                    part, j = 0.0, last[token]
                    while j >= window:
                        age = ref_day - c.day[j]
                        part += (
                            variants[v, V_VK]
                            * np.exp(-abs(age) / variants[v, V_DECAY])
                            * alpha[v, j - window]
                        )
                        j = c.previous[j]
                    out[token, TOK_A_TOKEN if v == 0 else TOK_B_TOKEN] = part
                _add_token_history(columns, k, last[token], window, c.previous, c.day, ref_day, p)
            _solve(f, 0, rows, columns, (firsts[k0] - window) // f.block)
        for k in range(m):
            token = order[k0 + k]
            cross, square = 0.0, 0.0
            if k0 >= plain:
                for j in range(rows):
                    cross += columns[j, k] * solved[k, j]
                    square += columns[j, k] * columns[j, k]
            else:
                out[token, TOK_A_TOKEN], out[token, TOK_B_TOKEN] = 0.0, 0.0
            explained = np.dot(solved[k], solved[k])
            total = prior[0] + _trait_diagonal(p, scale[token]) + p[V_VK]
            out[token, TOK_A_VAR] = total - explained - 2.0 * cross - square
            out[token, TOK_A_CROSS], out[token, TOK_A_SQUARE] = cross, square
        k0 = k1


@njit(nogil=True, cache=True)
def replay_batch(
    batch: Batch, c0: int, c1: int, variants, step, keep, block, min_sales, noise, out, tokens_out, summary
) -> None:
    """Replay collections c0..c1 of ``batch`` and value their tokens; writes ``noise`` (2, R), ``out`` (2, 5, R),
    ``tokens_out`` (M, 7) and ``summary`` (C, 4). Rows and tokens without an index keep what the caller put there.
    """
    f = _new_factor(step * (keep + 1), block)
    for k in range(c0, c1):
        r0, r1, t0, t1 = batch.row_off[k], batch.row_off[k + 1], batch.tok_off[k], batch.tok_off[k + 1]
        n, types, tokens = r1 - r0, batch.n_types[k], t1 - t0
        table = batch.codes[batch.trait_off[k] : batch.trait_off[k + 1]].reshape(tokens, types)
        table_weights = batch.weights[batch.trait_off[k] : batch.trait_off[k + 1]].reshape(tokens, types)
        token_scale = np.zeros(tokens)
        for t in range(tokens):
            if types > 0:
                token_scale[t] = 1.0 / np.sqrt(table_weights[t].sum())
        token = batch.token[r0:r1]
        codes, weights = np.empty((types, n), np.int32), np.empty((types, n))
        scale, previous, last = np.empty(n), np.empty(n, np.int64), np.full(tokens, -1, np.int64)
        for i in range(n):
            codes[:, i], weights[:, i] = table[token[i]], table_weights[token[i]]
            scale[i] = token_scale[token[i]]
            previous[i] = last[token[i]]
            last[token[i]] = i
        day, query_day = batch.day[r0:r1], batch.query_day[r0:r1]
        prefix = batch.prefix[r0:r1] - batch.first[k]
        u, u_query = np.empty((2, n)), np.empty((2, n))
        for v in range(2):
            for i in range(n):
                u[v, i] = variants[v, V_QD] * day[i] + variants[v, V_QN] * (batch.first[k] + i + 1)
                u_query[v, i] = variants[v, V_QD] * query_day[i] + variants[v, V_QN] * (
                    batch.first[k] + prefix[i] + 1
                )
        c = Sales(
            batch.first[k],
            batch.start[k] - batch.first[k],
            batch.anchor[k],
            batch.y[r0:r1],
            u,
            u_query,
            day,
            query_day,
            prefix,
            previous,
            codes,
            weights,
            scale,
            noise[:, r0:r1],
        )
        window = _replay_one(f, c, variants, step, keep, min_sales, out[:, :, r0:r1])
        if n + batch.first[k] >= min_sales:
            _value_tokens(
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
