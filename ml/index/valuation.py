"""Value of every token at a collection's last state, in closed form.

What is here: level, trait and token parts of all tokens and their variance, from one factor. What is not:
the replay that built it (`ml.index.replay`).

The concept. With α = K⁻¹(y − y0) a token's mean is a dot product of its covariances with the sales: no
solve per token. A's covariance is linear in the one-hot traits, so its variance needs one solved column per
*trait value*; where a collection shows more values than it has tokens, the tokens' own columns are solved
instead. A token's own sales add a rank-one correction that decays with age: CROSS and SQUARE let a reader
move it to a later day.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ml.index.factor import (
    REORDERED_SUMS,
    V_DECAY,
    V_QD,
    V_QN,
    V_VK,
    V_VT,
    V_VT2,
    Factor,
    Sales,
    add_token_covariance,
    solve,
    trait_variance_of,
)

# Columns of the per-token output. CROSS and SQUARE are what the token's own history takes off A's variance.
TOK_A_TRAIT, TOK_A_TOKEN, TOK_A_VAR, TOK_A_CROSS, TOK_A_SQUARE, TOK_B_TRAIT, TOK_B_TOKEN = range(7)
N_TOK = 7
# Columns of the per-collection output: the level every token shares, and its variance.
COL_A_LEVEL, COL_A_LEVEL_VAR, COL_B_LEVEL, COL_B_LEVEL_VAR = range(4)
N_COL = 4


@njit(nogil=True, error_model="numpy")
def _weights_of_sales(f: Factor, v: int, rows: int, alpha: Any) -> None:
    """α = K⁻¹(y − y0) = L⁻ᵀz for the ``rows`` sales of the last state."""
    for j in range(rows):
        alpha[j] = f.z[v, j]
    for tile in range((rows - 1) // f.block, -1, -1):
        top = tile * f.block
        size = min(f.block, rows - top)
        for r in range(size):
            acc = 0.0
            for q in range(r, size):
                acc += f.tiles[v, tile, r * size + q] * alpha[top + q]
            alpha[top + r] = acc
        offset = f.block * f.block * (tile * (tile - 1) // 2)
        for j in range(top):
            acc = 0.0
            for q in range(size):
                acc += f.panels[v, offset + j * size + q] * alpha[top + q]
            alpha[j] -= acc


@njit(nogil=True, error_model="numpy")
def _number_values(codes: Any) -> tuple[Any, int]:
    """Dense numbers for the trait values among ``codes`` (-1: not among them), and how many there are."""
    highest = -1
    for t in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            highest = max(highest, codes[t, j])
    number, count = np.full(highest + 1, -1, np.int64), 0
    for t in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            if codes[t, j] >= 0 and number[codes[t, j]] < 0:
                number[codes[t, j]] = count
                count += 1
    return number, count


@njit(nogil=True, error_model="numpy")
def _solve_trait_values(f: Factor, c: Sales, p: Any, window: int, number: Any, count: int) -> Any:
    """L⁻¹ vt·(one-hot of a value)/√W per trait value seen in the window: (values, sales)."""
    rows = len(c.y) - window
    solved = np.zeros((count, rows))
    for t in range(c.codes.shape[0] if count else 0):
        for j in range(rows):
            if c.codes[t, window + j] >= 0:
                solved[number[c.codes[t, window + j]], j] = p[V_VT] * c.scale[window + j]
    for v0 in range(0, count, f.block):
        v1 = min(count, v0 + f.block)
        columns = f.buffer[: rows * (v1 - v0)].reshape(rows, v1 - v0)
        for j in range(rows):
            for k in range(v1 - v0):
                columns[j, k] = solved[v0 + k, j]
        solve(f, 0, rows, columns, 0)
        for j in range(rows):
            for k in range(v1 - v0):
                solved[v0 + k, j] = columns[j, k]
    return solved


@njit(nogil=True, error_model="numpy", fastmath=REORDERED_SUMS)
def _trait_parts(
    c: Sales, variants: Any, alpha: Any, window: int, codes: Any, weights: Any, scale: float, s: Any
) -> tuple[float, float]:
    """Trait part of one token under both variants; leaves its similarity to every sale in ``s``."""
    rows = len(c.y) - window
    for j in range(rows):
        s[j] = 0.0
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


@njit(nogil=True, error_model="numpy")
def _oldest_sales(c: Sales, window: int, last: Any) -> Any:
    """Each token's first sale inside the window (-1: none)."""
    oldest = np.full(len(last), -1, np.int64)
    for token in range(len(last)):
        j = last[token]
        while j >= window:
            oldest[token], j = j, c.previous[j]
    return oldest


@njit(nogil=True, error_model="numpy")
def _token_part(c: Sales, p: Any, alpha: Any, window: int, last: int, ref_day: float) -> float:
    part, j = 0.0, last
    while j >= window:
        part += p[V_VK] * np.exp(-abs(ref_day - c.day[j]) / p[V_DECAY]) * alpha[j - window]
        j = c.previous[j]
    return part


@njit(nogil=True, error_model="numpy", fastmath=REORDERED_SUMS)
def value_tokens(
    f: Factor,
    c: Sales,
    variants: Any,
    window: int,
    ref_day: float,
    codes: Any,
    weights: Any,
    scale: Any,
    last: Any,
    out: Any,
    summary: Any,
) -> None:
    """Fill ``out`` (tokens, 7) and ``summary`` (4,) with the last state, seen from ``ref_day``.

    ``codes``/``weights`` are (tokens, types); ``last`` is each token's latest sale (-1: none). Tokens are
    taken a few at a time, those without sales first, the others by their first sale: a column is zero above
    it.
    """
    rows, tokens, p = len(c.y) - window, len(scale), variants[0]
    alpha = np.empty((2, rows))
    for v in range(2):
        _weights_of_sales(f, v, rows, alpha[v])
        u_ref = variants[v, V_QD] * ref_day + variants[v, V_QN] * (c.first + len(c.y) + 1)
        prior = 1.0 + u_ref - c.u[v, window]
        summary[2 * v] = c.y0 + f.cum_mean[v, rows]
        summary[2 * v + 1] = prior - f.cum_square[v, rows]
    level_prior = summary[COL_A_LEVEL_VAR] + f.cum_square[0, rows]
    number, count = _number_values(c.codes[:, window:])
    by_tokens = count > tokens
    by_value = _solve_trait_values(f, c, p, window, number, 0 if by_tokens else count)
    oldest = _oldest_sales(c, window, last)
    order = np.argsort(oldest)
    width = max(1, f.block // 3)
    solved, similar = np.empty((width, rows)), np.empty((width, rows))
    for k0 in range(0, tokens, width):
        m = min(tokens, k0 + width) - k0
        for k in range(m):
            token = order[k0 + k]
            for j in range(rows):
                solved[k, j] = f.x[0, j]
            a, b = _trait_parts(
                c, variants, alpha, window, codes[token], weights[token], scale[token], similar[k]
            )
            out[token, TOK_A_TRAIT], out[token, TOK_B_TRAIT] = a, b
            out[token, TOK_A_TOKEN] = _token_part(c, variants[0], alpha[0], window, last[token], ref_day)
            out[token, TOK_B_TOKEN] = _token_part(c, variants[1], alpha[1], window, last[token], ref_day)
            for t in range(0 if by_tokens else codes.shape[1]):
                code = codes[token, t]
                if 0 <= code < len(number) and number[code] >= 0:
                    weight = scale[token] * weights[token, t]
                    for j in range(rows):
                        solved[k, j] += weight * by_value[number[code], j]
        columns = f.buffer[: rows * m].reshape(rows, m)
        if by_tokens:
            for j in range(rows):
                for k in range(m):
                    columns[j, k] = p[V_VT] * similar[k, j]
            solve(f, 0, rows, columns, 0)
            for j in range(rows):
                for k in range(m):
                    solved[k, j] += columns[j, k]
        with_history = oldest[order[k0 + m - 1]] >= 0
        if with_history:
            f.buffer[: rows * m].fill(0.0)
            for k in range(m):
                token = order[k0 + k]
                add_token_covariance(columns, k, last[token], window, c.previous, c.day, ref_day, p)
            solve(f, 0, rows, columns, max(0, oldest[order[k0]] - window) // f.block)
        for k in range(m):
            token = order[k0 + k]
            explained, cross, square = 0.0, 0.0, 0.0
            for j in range(rows):
                explained += solved[k, j] * solved[k, j]
            if with_history:
                for j in range(rows):
                    cross += columns[j, k] * solved[k, j]
                    square += columns[j, k] * columns[j, k]
            total = level_prior + trait_variance_of(p, scale[token]) + p[V_VK]
            out[token, TOK_A_VAR] = total - explained - 2.0 * cross - square
            out[token, TOK_A_CROSS], out[token, TOK_A_SQUARE] = cross, square
