"""How close Assay comes to an oracle that knows how the simulated market was made.

Here: the oracle's posterior for one collection, and the comparison with Assay's estimates against the hidden truth.
Not here: running Assay (`benchmarks.runs`) and the market itself (`sources.simulator`).

The oracle is given what no model has: the family of trait premiums, each collection's volatility and noise, the half-life
of the swing. It is not given any level or premium: these it infers, by Gibbs sampling, from the very sales that
Assay saw. It does not use listings, the selection of cheap tokens, or other collections' levels. Its model of a sale:

    ln price = slow level (Brownian in days) + swing (AR(1) in sales) + premiums of the traits + token + t₃ noise

    python -m benchmarks.oracle HOME        compare a finished simulated home
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numba import njit

from lake.config import LakeConfig
from lake.connection import Lake
from sources.simulator.config import SimulatorConfig, config_from
from sources.simulator.trades import SIDES
from sources.simulator.universe import Universe, build_universe

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SWEEPS, BURN_IN = 240, 80
SIZES = (0, 30, 100, 300, 1000)
"""Edges of the table's rows: arm's-length sales of a collection."""
# The family of premiums, as `sources.simulator.universe._traits` draws it.
_PRICED_SHARE, _PREMIUM_SCALE, _COMMON, _SPREAD, _MOST = 0.24, 0.5, 2.3, 0.025, 3.0
_STRENGTHS = np.exp(-0.2 + 0.8 * np.linspace(-2.2, 2.2, 12))
_OWN_SD, _OWN_SD_WITHOUT_TRAITS = 0.05, 0.2
_BID_DISCOUNT = 0.04
_FIRST_LEVEL_SD = 1.5
_GRID = np.concatenate([np.linspace(-0.3, 0.5, 161)[:-1], np.linspace(0.5, 3.2, 109)])


@dataclass(frozen=True)
class Truths:
    """What the oracle is told about a collection: log units, per day or per sale."""

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
        worth = np.minimum(_PREMIUM_SCALE * shape[None, :] * beyond[:, None] * strength, _MOST)
        z = (_GRID[None, :, None] - worth[:, None, :]) / sd
        slab = np.exp(-0.5 * z**2).mean(axis=2) / sd
        spike = np.exp(-0.5 * (_GRID / sd) ** 2) / sd
        out[k] = np.log(_PRICED_SHARE * slab + (1 - _PRICED_SHARE) * spike + 1e-12)
    # The grid is finer around zero: its cells carry their widths.
    return out + np.log(np.gradient(_GRID))


def posterior_log_value(
    seen: Observed, told: Truths, rng: np.random.Generator, sweeps: int = SWEEPS
) -> Floats:
    """Posterior median of ln value of every token at the end, shape (tokens,)."""
    n, (tokens, types), count = len(seen.log_price), seen.values.shape, len(seen.information)
    own_sd = _OWN_SD if told.has_traits else _OWN_SD_WITHOUT_TRAITS
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
        var = told.noise**2 / weight
        effect = premium[of_sale].sum(axis=1) + own[seen.token]
        path = _draw_path(
            seen.day, seen.log_price - effect, var, told.daily_sd**2, told.step_sd**2, told.decay,
            first, _FIRST_LEVEL_SD, rng.standard_normal((n, 2)),
        )  # fmt: skip
        rest = seen.log_price - path.sum(axis=1)
        # Shifts between level and premiums mix slowly one by one: the traits see the data without the level's mean.
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
        precision = np.bincount(seen.token, 1 / var, tokens) + 1 / own_sd**2
        own = np.bincount(seen.token, gap / var, tokens) / precision
        own = own + rng.standard_normal(tokens) / np.sqrt(precision)
        error = (gap - own[seen.token]) / told.noise
        weight = rng.gamma((3 + 1) / 2, 2 / (3 + error**2))
        if sweep >= BURN_IN:
            ahead = told.daily_sd * np.sqrt(max(seen.end_day - seen.day[-1], 0.0)) * rng.standard_normal()
            draws[sweep - BURN_IN] = path[-1].sum() + ahead + premium[seen.values].sum(axis=1) + own
    return np.median(draws, axis=0).astype(np.float64)


def truths_of(config: SimulatorConfig, universe: Universe, k: int) -> Truths:
    """What the simulator was set to for one collection."""
    c = config.calibration
    daily = np.hypot(c.market_daily_sd * universe.beta[k], c.own_daily_sd * universe.volatility[k])
    return Truths(
        float(daily), c.trade_step_sd, 0.5 ** (1 / c.trade_half_life), float(c.price_noise * universe.noise[k]),
        bool(universe.types[k] > 0),
    )  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """One collection: log errors of Assay and the oracle on the same tokens against the hidden truth."""

    collection: str
    sales: int
    assay: Floats
    oracle: Floats


def compare(home: Path, *, sweeps: int = SWEEPS, limit: int | None = None) -> Iterator[Compared]:
    """Both valuations of a finished simulated home, collection by collection.

    Args:
        home: Home of a complete run of the simulator.
        sweeps: Gibbs sweeps of the oracle.
        limit: At most this many collections, evenly over their sizes.
    """
    market = json.loads((home / "market.json").read_text())
    market.pop("source")
    config = config_from(**{k: v for k, v in market.items() if v})
    universe = build_universe(config)
    number = {name: k for k, name in enumerate(universe.names.to_pylist())}
    with Lake(LakeConfig(home=home)).read() as con:
        con.execute(_ESTIMATES)
        keys = con.execute("select collection from valued group by 1 order by any_value(sales), 1").fetchall()
        if limit is not None and len(keys) > limit:
            keys = [keys[round(i)] for i in np.linspace(0, len(keys) - 1, limit)]
        for (key,) in keys:
            tokens = con.execute(
                "select token_id, log_estimate, log_truth, as_of from valued where collection = $1", [key]
            ).fetchnumpy()
            sales = con.execute(_SALES, [key]).fetchnumpy()
            k = number[key]
            low = universe.offsets[k]
            codes = universe.codes[low : universe.offsets[k + 1], : universe.types[k]].astype(np.int64)
            end = (tokens["as_of"][0] - np.datetime64(config.first_instant)) / np.timedelta64(1, "D")
            seen = _observed(sales, codes, float(end), config)
            found = posterior_log_value(
                seen, truths_of(config, universe, k), np.random.default_rng(k), sweeps
            )
            at = tokens["token_id"].astype(np.int64) - 1
            truth = tokens["log_truth"]
            yield Compared(key, len(seen.day), tokens["log_estimate"] - truth, found[at] - truth)


def _observed(sales: dict[str, npt.NDArray], codes: Ints, end: float, config: SimulatorConfig) -> Observed:
    """Arrays of the oracle; a trait value's information is −ln of its share, as the market was drawn."""
    values = np.full(codes.shape, -1, np.int64)
    information: list[float] = []
    for t in range(codes.shape[1]):
        present, dense, counts = np.unique(codes[:, t], return_inverse=True, return_counts=True)
        real = present != 255
        names = np.where(real, np.cumsum(real) - 1 + len(information), -1)
        values[:, t] = names[dense]
        information += list(-np.log(counts[real] / counts[real].sum()))
    day = (sales["event_time"] - np.datetime64(config.first_instant)) / np.timedelta64(1, "D")
    discount = np.where(sales["side"] == SIDES[1], _BID_DISCOUNT, 0.0)
    return Observed(
        day, np.log(sales["price_eth"]) + discount, sales["token_id"].astype(np.int64) - 1, values,
        np.array(information), end,
    )  # fmt: skip


_ESTIMATES = """
create or replace temp table valued as
select
    e.collection, e.token_id, e.as_of, ln(e.estimate_eth) as log_estimate,
    l.log_level + t.log_effect as log_truth, d.n_arms_length as sales
from predictions.token_estimates as e
inner join truth.token_effects as t on e.collection = t.collection and e.token_id = t.token_id
inner join truth.collection_levels as l
    on e.collection = l.collection and cast(e.as_of + interval 12 hours as date) = l.day
inner join marts.dim_collections as d on e.collection = d.collection
where e.estimate_eth is not null
"""
# Only what Assay saw, with the way the sale came about.
_SALES = """
select s.event_time, s.token_id, s.price_eth, r.side
from marts.fct_sales as s
left join (
    select chain, tx_hash, log_index, any_value(side) as side from raw.sales group by all
) as r on s.chain = r.chain and s.tx_hash = r.tx_hash and s.log_index = r.log_index
where s.is_arms_length and s.collection = $1
order by s.event_time, s.seq
"""


def mdape(log_error: Floats) -> float:
    """Median absolute percentage error of log errors."""
    return float(np.median(np.abs(np.expm1(log_error))))


def rows_by_size(found: list[Compared]) -> list[dict[str, float | str]]:
    """One row per size of collection and one over all: errors of both, their ratio, and where they come from.

    `level` is the error a collection's tokens share (their median); `shape` is what is left of each token's.
    """
    edges = [*SIZES, sys.maxsize]
    groups = {
        f"{a}-{b - 1}" if b < sys.maxsize else f"{a}+": (a, b) for a, b in zip(edges, edges[1:], strict=False)
    }
    groups["all"] = (0, sys.maxsize)
    rows: list[dict[str, float | str]] = []
    for name, (low, high) in groups.items():
        part = [c for c in found if low <= c.sales < high]
        if not part:
            continue
        row: dict[str, float | str] = {"sales": name, "collections": len(part)}
        row["tokens"] = sum(len(c.assay) for c in part)
        for who in ("assay", "oracle"):
            errors = [getattr(c, who) for c in part]
            row[who] = mdape(np.concatenate(errors))
            row[f"{who}_by_collection"] = float(np.median([mdape(e) for e in errors]))
            row[f"{who}_level"] = float(np.median([abs(np.median(e)) for e in errors]))
            row[f"{who}_shape"] = float(np.median(np.concatenate([np.abs(e - np.median(e)) for e in errors])))
        row["ratio"] = row["assay"] / row["oracle"]  # type: ignore[operator]
        rows.append(row)
    return rows


def lines(rows: list[dict[str, float | str]]) -> list[str]:
    """The table as text."""
    names = ["assay", "oracle", "ratio", "assay_by_collection", "oracle_by_collection", "assay_level", "oracle_level",
             "assay_shape", "oracle_shape"]  # fmt: skip
    text = [f"{'sales':>10} {'colls':>6} {'tokens':>7} " + " ".join(f"{n[:13]:>13}" for n in names)]
    for row in rows:
        text.append(
            f"{row['sales']:>10} {row['collections']:>6} {row['tokens']:>7} "
            + " ".join(f"{row[name]:13.4f}" for name in names)
        )
    return text


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines(rows_by_size(list(compare(Path(sys.argv[1])))))) + "\n")
