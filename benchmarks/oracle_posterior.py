"""The oracle's posterior of one simulated collection, by Gibbs sampling.

Here: the model of a sale and its sampler. Not here: what the oracle knows and what it is compared with
(`benchmarks.oracle`).

    ln price = slow level (Brownian in days) + swing (AR(1) in sales) + premiums of the traits + token + t₃ noise

The path of level and swing is drawn at once (forward filter, backward sampling); premiums, trait type by trait type,
from their spike and slab on a grid; the tails by a gamma weight per sale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SWEEPS, BURN_IN = 240, 80
# The family of premiums, as `sources.simulator.universe._traits` draws it.
_PRICED_SHARE, _PREMIUM_SCALE, _COMMON, _SPREAD, _MOST = 0.24, 0.5, 2.3, 0.025, 3.0
_STRENGTHS = np.exp(-0.2 + 0.8 * np.linspace(-2.2, 2.2, 12))
_OWN_SD, _OWN_SD_WITHOUT_TRAITS = 0.05, 0.2
_FIRST_LEVEL_SD = 1.5
_GRID = np.concatenate([np.linspace(-0.3, 0.5, 161)[:-1], np.linspace(0.5, 3.2, 109)])


@dataclass(frozen=True)
class Truths:
    """What the oracle knows about a collection: log units, per day or per sale."""

    daily_sd: float
    step_sd: float
    decay: float
    noise: float
    has_traits: bool


@dataclass(frozen=True)
class Observed:
    """Sales of one collection in known order, and all its tokens.

    `values` (tokens, types) are dense trait value numbers, -1 where a trait lacks; `information` is −ln share of each.
    """

    day: Floats
    log_price: Floats
    token: Ints
    values: Ints
    information: Floats
    end_day: float


@njit(cache=True)
def _draw_path(day, y, var, daily_var, step_var, decay, first_mean, first_sd, normals):  # type: ignore[no-untyped-def]
    """One draw of slow level and swing at every sale: forward filter, backward sampling."""
    n = len(y)
    mean = np.zeros((n, 2))
    cov = np.zeros((n, 3))
    m0, m1 = first_mean, 0.0
    p00, p01, p11 = first_sd**2, 0.0, step_var / (1.0 - decay**2)
    for i in range(n):
        if i > 0:
            m1, p01, p11 = decay * m1, decay * p01, decay * decay * p11 + step_var
            p00 += daily_var * max(day[i] - day[i - 1], 0.0)
        s = p00 + 2 * p01 + p11 + var[i]
        k0, k1 = (p00 + p01) / s, (p01 + p11) / s
        gap = y[i] - m0 - m1
        m0, m1 = m0 + k0 * gap, m1 + k1 * gap
        p00, p01, p11 = p00 - k0 * k0 * s, p01 - k0 * k1 * s, p11 - k1 * k1 * s
        mean[i, 0], mean[i, 1] = m0, m1
        cov[i, 0], cov[i, 1], cov[i, 2] = p00, p01, p11
    path = np.zeros((n, 2))
    for i in range(n - 1, -1, -1):
        m0, m1 = mean[i, 0], mean[i, 1]
        p00, p01, p11 = cov[i, 0], cov[i, 1], cov[i, 2]
        if i < n - 1:
            # Condition on the next state, one coordinate after the other (its errors are independent).
            q = daily_var * max(day[i + 1] - day[i], 0.0) + 1e-12
            s = p00 + q
            k0, k1, gap = p00 / s, p01 / s, path[i + 1, 0] - m0
            m0, m1 = m0 + k0 * gap, m1 + k1 * gap
            p00, p01, p11 = p00 - k0 * k0 * s, p01 - k0 * k1 * s, p11 - k1 * k1 * s
            s = decay * decay * p11 + step_var
            k0, k1, gap = decay * p01 / s, decay * p11 / s, path[i + 1, 1] - decay * m1
            m0, m1 = m0 + k0 * gap, m1 + k1 * gap
            p00, p01, p11 = p00 - k0 * k0 * s, p01 - k0 * k1 * s, p11 - k1 * k1 * s
        a = np.sqrt(max(p00, 1e-12))
        b = p01 / a
        c = np.sqrt(max(p11 - b * b, 0.0))
        path[i, 0] = m0 + a * normals[i, 0]
        path[i, 1] = m1 + b * normals[i, 0] + c * normals[i, 1]
    return path


def _log_priors(information: Floats) -> Floats:
    """ln density of a premium on `_GRID`, shape (strengths, values, grid)."""
    uniform = (np.arange(400) + 0.5) / 400
    shape = (-np.log1p(-uniform)) ** 1.5
    out = np.empty((len(_STRENGTHS), len(information), len(_GRID)))
    for k, strength in enumerate(_STRENGTHS):
        sd = max(_SPREAD * strength, 0.006)
        beyond = np.maximum(information - _COMMON, 0.0)
        premium_of_value = np.minimum(_PREMIUM_SCALE * shape[None, :] * beyond[:, None] * strength, _MOST)
        z = (_GRID[None, :, None] - premium_of_value[:, None, :]) / sd
        slab = np.exp(-0.5 * z**2).mean(axis=2) / sd
        spike = np.exp(-0.5 * (_GRID / sd) ** 2) / sd
        out[k] = np.log(_PRICED_SHARE * slab + (1 - _PRICED_SHARE) * spike + 1e-12)
    # The grid is finer around zero: its cells carry their widths.
    return out + np.log(np.gradient(_GRID))


def posterior_log_value(
    seen: Observed, truths: Truths, rng: np.random.Generator, sweeps: int = SWEEPS
) -> Floats:
    """Posterior median of ln value of every token at the end, shape (tokens,)."""
    n, (tokens, types), count = len(seen.log_price), seen.values.shape, len(seen.information)
    own_sd = _OWN_SD if truths.has_traits else _OWN_SD_WITHOUT_TRAITS
    prior = _log_priors(seen.information) if count else np.empty((len(_STRENGTHS), 0, len(_GRID)))
    premium, own, strength = np.zeros(count + 1), np.zeros(tokens), 5
    of_sale = seen.values[seen.token]
    weight = np.full(n, 1.0)
    draws = np.empty((sweeps - BURN_IN, tokens), np.float32)
    first = float(np.median(seen.log_price[:9]))
    value_type = np.full(count, -1)
    for t in range(types):
        value_type[np.unique(seen.values[:, t][seen.values[:, t] >= 0])] = t
    for sweep in range(sweeps):
        var = truths.noise**2 / weight
        effect = premium[of_sale].sum(axis=1) + own[seen.token]
        path = _draw_path(
            seen.day,
            seen.log_price - effect,
            var,
            truths.daily_sd**2,
            truths.step_sd**2,
            truths.decay,
            first,
            _FIRST_LEVEL_SD,
            rng.standard_normal((n, 2)),
        )
        rest = seen.log_price - path.sum(axis=1)
        for t in range(types):
            mine = np.flatnonzero(value_type == t)
            code = of_sale[:, t]
            has = code >= 0
            gap = rest - premium[of_sale].sum(axis=1) - own[seen.token] + premium[code]
            precision = np.bincount(code[has], 1 / var[has], count)[mine]
            total = np.bincount(code[has], gap[has] / var[has], count)[mine]
            logs = prior[strength][mine] + total[:, None] * _GRID - 0.5 * precision[:, None] * _GRID**2
            chance = np.exp(logs - logs.max(axis=1, keepdims=True)).cumsum(axis=1)
            pick = (chance < rng.random((len(mine), 1)) * chance[:, -1:]).sum(axis=1)
            premium[mine] = _GRID[np.minimum(pick, len(_GRID) - 1)]
        if count:
            at = np.searchsorted(_GRID, premium[:-1])
            logs = prior[:, np.arange(count), np.minimum(at, len(_GRID) - 1)].sum(axis=1)
            logs -= np.linspace(-2.2, 2.2, len(_STRENGTHS)) ** 2 / 2
            chance = np.exp(logs - logs.max())
            strength = int(rng.choice(len(_STRENGTHS), p=chance / chance.sum()))
        gap = rest - premium[of_sale].sum(axis=1)
        own_precision = np.bincount(seen.token, 1 / var, tokens) + 1 / own_sd**2
        own = np.bincount(seen.token, gap / var, tokens) / own_precision
        own = own + rng.standard_normal(tokens) / np.sqrt(own_precision)
        error = (gap - own[seen.token]) / truths.noise
        weight = rng.gamma((3 + 1) / 2, 2 / (3 + error**2))
        if sweep >= BURN_IN:
            ahead = truths.daily_sd * np.sqrt(max(seen.end_day - seen.day[-1], 0.0)) * rng.standard_normal()
            draws[sweep - BURN_IN] = path[-1].sum() + ahead + premium[seen.values].sum(axis=1) + own
    return np.median(draws, axis=0).astype(np.float64)
