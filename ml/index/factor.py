"""The append-only Cholesky factor of one collection's hedonic index, compiled and without the GIL.

What is here: the covariance of sales, the factor in column panels, and appending a block of sales. What is
not: which queries are asked of it (`ml.index.replay`) and the value of tokens (`ml.index.valuation`).

The concept. A sale appends one row to the factor L of K = k(window, window) + diag(R). Rows are appended a
block at a time, so the work is matrix products (42 GFLOP/s on one core here) instead of one memory-bound
triangular solve per sale. While a query is later than every sale it sees, its level column 1 + min(u_q,
u_j) − u_base does not depend on it: one extra column x, appended like z = L⁻¹(y − y0), splits every mean
and variance into its level part.

Compiled functions carry no ``cache=True`` of their own: the entry point in ``kernel`` caches all of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Sums may be reordered so that they vectorise; NaN and infinity keep their meaning.
REORDERED_SUMS = {"contract", "reassoc", "nsz"}

# Columns of the variant table (params.Variant.as_row).
V_QN, V_QD, V_R, V_VT, V_VT2, V_VK, V_DECAY, V_HUB = range(8)


class Sales(NamedTuple):
    """One collection's rows in known order, positions local to its first row; per-variant arrays are (2, rows).

    ``y`` and ``noise`` end with the sales; every other array goes on with the queries, which no sale sees.

    ``u`` is the clock of the level (days and trades), ``previous`` the same token's sale before (-1: none),
    ``codes`` and ``weights`` are (types, n), ``scale`` is 1/√W or 0 without traits, ``known`` the first row
    whose noise is to be found, ``first`` the absolute position of row 0.
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
    """Workspace for one collection, both variants: L in column panels, inverted diagonal tiles, two columns.

    Panel J holds the rows of L of block J left of the diagonal, transposed: (J*block, rows in block).
    Tiles are stored as the transposed inverse.
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


@njit(nogil=True, error_model="numpy")
def new_factor(capacity: int, block: int) -> Factor:
    """Workspace for up to ``capacity`` sales appended ``block`` at a time."""
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


@njit(nogil=True, error_model="numpy")
def transposed_product(a: Any, b: Any, out: Any) -> None:
    """Set ``out`` to aᵀb: the one place that calls BLAS (all three C-contiguous, two-dimensional)."""
    np.dot(a.T, b, out)


@njit(nogil=True, error_model="numpy")
def solve(f: Factor, v: int, rows: int, columns: Any, tile0: int) -> None:
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
            transposed_product(panel, flat[skip * m : top * m].reshape(top - skip, m), product)
            for k in range(size * m):
                flat[top * m + k] -= f.product[k]
        inverse = f.tiles[v, tile, : size * size].reshape(size, size)
        product = f.product[: size * m].reshape(size, m)
        transposed_product(inverse, target, product)
        for k in range(size * m):
            flat[top * m + k] = f.product[k]


@njit(nogil=True, error_model="numpy", fastmath=REORDERED_SUMS)
def trait_similarity(
    out: Any, codes: Any, weights: Any, scale: Any, j0: int, j1: int, i0: int, i1: int
) -> None:
    """out[j, i] = s between rows j0..j1 and i0..i1: shared trait weight over √(W_j W_i)."""
    for j in range(j0, j1):
        row = out[j - j0]
        for i in range(i1 - i0):
            row[i] = 0.0
        for t in range(codes.shape[0]):
            code, weight = codes[t, j], weights[t, j]
            others = codes[t, i0:i1]
            for i in range(i1 - i0):
                row[i] += weight if others[i] == code else 0.0
        for i in range(i1 - i0):
            row[i] *= scale[j] * scale[i0 + i]


@njit(nogil=True, error_model="numpy")
def level_and_trait_covariance(
    out: Any, s: Any, u_rows: Any, u_columns: Any, base: float, vt: float, vt2: float
) -> None:
    """Fill 1 + (min(u_i, u_j) − u_base) + vt·s + vt2·s⁶; times before the window count as its start."""
    for j in range(out.shape[0]):
        u_j = max(u_rows[j], base) - base + 1.0
        for i in range(out.shape[1]):
            u_i = max(u_columns[i], base) - base + 1.0
            s_ij = s[j, i]
            s2 = s_ij * s_ij
            out[j, i] = min(u_j, u_i) + vt * s_ij + vt2 * s2 * s2 * s2


@njit(nogil=True, error_model="numpy")
def add_token_covariance(
    out: Any, column: int, last: int, low: int, previous: Any, day: Any, at: float, p: Any
) -> None:
    """Add vk·exp(−|Δt|/decay) for the token's sales from row ``last`` back to ``low`` (row low is out[0])."""
    j = last
    while j >= low:
        out[j - low, column] += p[V_VK] * np.exp(-abs(at - day[j]) / p[V_DECAY])
        j = previous[j]


@njit(nogil=True, error_model="numpy")
def last_before(row: int, limit: int, previous: Any) -> int:
    """Latest sale of the same token before ``row`` and before ``limit`` (-1: none)."""
    j = previous[row]
    while j >= limit:
        j = previous[j]
    return j


@njit(nogil=True, error_model="numpy", fastmath=REORDERED_SUMS)
def append_block(f: Factor, c: Sales, v: int, p: Any, window: int, b0: int, b1: int, asked: int) -> None:
    """Append rows b0..b1, whose solved covariances are in ``buffer``: rows of L, z and the level column.

    From row ``asked`` on a sale's noise is found from its standardised one-step error; before, it is known.
    """
    done, size = b0 - window, b1 - b0
    tile, base, L = done // f.block, c.u[v, window], f.own
    old = f.buffer[: done * size].reshape(done, size)
    cov = f.buffer[done * size : (done + size) * size].reshape(size, size)
    mean_old, level_old = np.zeros(size), np.zeros(size)
    if done > 0:
        transposed_product(old, old, f.product[: size * size].reshape(size, size))
        for k in range(size * size):
            f.buffer[done * size + k] -= f.product[k]
        for j in range(done):
            for i in range(size):
                mean_old[i] += old[j, i] * f.z[v, j]
                level_old[i] += old[j, i] * f.x[v, j]
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
        for k in range(done * size):
            f.panels[v, offset + k] = f.buffer[k]
    inverse = f.tiles[v, tile, : size * size].reshape(size, size)
    for c0 in range(size):
        for r in range(size):
            acc = 1.0 if r == c0 else 0.0
            for q in range(c0, r):
                acc -= L[r, q] * inverse[c0, q]
            inverse[c0, r] = acc / L[r, r] if r >= c0 else 0.0


@njit(nogil=True, error_model="numpy")
def trait_variance_of(p: Any, scale: float) -> float:
    """Trait variance of one value; a token without traits has none."""
    return p[V_VT] + p[V_VT2] if scale > 0.0 else 0.0
