"""How close Assay comes to an oracle that knows how the simulated market was made.

Here: what the oracle knows, and the comparison with Assay's estimates against the hidden truth. Not here: its
posterior (`benchmarks.oracle_posterior`), running Assay (`benchmarks.runs`) and the market itself
(`sources.simulator`).

The oracle knows what no model knows: the family of trait premiums, each collection's volatility and noise, the
half-life of the swing. It does not know any level or premium: it infers them (`benchmarks.oracle_posterior`) from the
same sales that Assay saw. It does not use listings, the selection of cheap tokens, or other collections' levels.

    python -m benchmarks.oracle HOME        compare a finished simulated home
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.oracle_posterior import SWEEPS, Floats, Ints, Observed, Truths, posterior_log_value
from lake.config import LakeConfig
from lake.connection import Lake
from sources.simulator.config import SimulatorConfig, config_from
from sources.simulator.trades import SIDES
from sources.simulator.universe import Universe, build_universe

SIZES = (0, 30, 100, 300, 1000)
"""Edges of the table's rows: arm's-length sales of a collection."""
_BID_DISCOUNT = 0.04


def truths_of(config: SimulatorConfig, universe: Universe, k: int) -> Truths:
    """What the simulator was set to for one collection."""
    c = config.calibration
    daily = np.hypot(c.market_daily_sd * universe.beta[k], c.own_daily_sd * universe.volatility[k])
    return Truths(
        float(daily),
        c.trade_step_sd,
        0.5 ** (1 / c.trade_half_life),
        float(c.price_noise * universe.noise[k]),
        bool(universe.types[k] > 0),
    )


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
            sales: dict[str, Any] = con.execute(_SALES, [key]).fetchnumpy()
            k = number[key]
            low = universe.offsets[k]
            codes = universe.codes[low : universe.offsets[k + 1], : universe.types[k]].astype(np.int64)
            end = (tokens["as_of"][0] - np.datetime64(config.start_time)) / np.timedelta64(1, "D")
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
    day = (sales["event_time"] - np.datetime64(config.start_time)) / np.timedelta64(1, "D")
    discount = np.where(sales["side"] == SIDES[1], _BID_DISCOUNT, 0.0)
    return Observed(
        day,
        np.log(sales["price_eth"]) + discount,
        sales["token_id"].astype(np.int64) - 1,
        values,
        np.array(information),
        end,
    )


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
    groups = {f"{a}-{b - 1}" if b < sys.maxsize else f"{a}+": (a, b) for a, b in itertools.pairwise(edges)}
    groups["all"] = (0, sys.maxsize)
    rows: list[dict[str, float | str]] = []
    for name, (low, high) in groups.items():
        part = [c for c in found if low <= c.sales < high]
        if not part:
            continue
        row: dict[str, float | str] = {"sales": name, "collections": len(part)}
        row["tokens"] = sum(len(c.assay) for c in part)
        for source in ("assay", "oracle"):
            errors = [getattr(c, source) for c in part]
            row[source] = mdape(np.concatenate(errors))
            row[f"{source}_by_collection"] = float(np.median([mdape(e) for e in errors]))
            row[f"{source}_level"] = float(np.median([abs(np.median(e)) for e in errors]))
            row[f"{source}_shape"] = float(
                np.median(np.concatenate([np.abs(e - np.median(e)) for e in errors]))
            )
        row["ratio"] = row["assay"] / row["oracle"]
        rows.append(row)
    return rows


def lines(rows: list[dict[str, float | str]]) -> list[str]:
    """The table as text."""
    names = [
        "assay",
        "oracle",
        "ratio",
        "assay_by_collection",
        "oracle_by_collection",
        "assay_level",
        "oracle_level",
        "assay_shape",
        "oracle_shape",
    ]
    text = [f"{'sales':>10} {'colls':>6} {'tokens':>7} " + " ".join(f"{n[:13]:>13}" for n in names)]
    text += [
        f"{row['sales']:>10} {row['collections']:>6} {row['tokens']:>7} "
        + " ".join(f"{row[name]:13.4f}" for name in names)
        for row in rows
    ]
    return text


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines(rows_by_size(list(compare(Path(sys.argv[1])))))) + "\n")
