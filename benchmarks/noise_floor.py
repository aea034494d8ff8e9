"""The noise floor of real sales: how much two sales of the same thing at nearly the same time differ.

Here: the dispersion of such pairs, and the error that no model can go below because of it. Not here: models.

Concept: if one token is resold within a day, or two tokens with the same traits are sold within an hour, the value
has hardly moved: what the two prices differ by is noise of the sale. If ln price = value + e with independent e, the
difference of two sales has √2 the noise; the best possible estimate is the value, and its median error is that of e.
A resale that follows quickly is no random sale (flippers sell higher), so the pair's median difference is subtracted.
A change of the value between the two is only removed as far as the index measured it: the floor is an upper bound of
the true one (on the simulator, whose noise is known to leave 3.8 %, resales within a day give about 8 %).

    python -m benchmarks.noise_floor HOME      a finished home of real data
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from lake.config import LakeConfig
from lake.connection import Lake

Floats = npt.NDArray[np.float64]

RESALE_HOURS = 24
TWIN_HOURS = 1
MIN_COLLECTION_SALES = 200
_SEED, _DRAWS = 3, 400

# Consecutive arm's-length sales of one token whose times are known to the second.
_RESALES = """
with sales as (
    select
        s.collection, s.token_id, s.tx_hash, s.event_time, ln(s.price_eth) as y, h.a_level as level,
        row_number() over (partition by s.collection, s.token_id order by s.event_time, s.seq) as n
    from marts.fct_sales as s
    inner join marts.dim_collections as d using (collection)
    left join features.hedonic_index as h using (sale_id)
    where s.is_arms_length and s.time_uncertainty_s = 0 and d.n_arms_length >= $least and d.chain = $chain
)
select a.collection, b.y - a.y as gap, b.level - a.level as moved
from sales as a
inner join sales as b on a.collection = b.collection and a.token_id = b.token_id and a.n + 1 = b.n
where a.tx_hash <> b.tx_hash and b.event_time <= a.event_time + to_hours($hours)
"""
# Consecutive sales of different tokens with the same traits.
_TWINS = """
with sales as (
    select
        s.collection, s.token_id, s.tx_hash, s.event_time, ln(s.price_eth) as y, h.a_level as level,
        row_number() over (partition by s.collection, t.trait_codes order by s.event_time, s.seq) as n,
        t.trait_codes as traits
    from marts.fct_sales as s
    inner join marts.dim_collections as d using (collection)
    inner join marts.dim_tokens as t on s.collection = t.collection and s.token_id = t.token_id
    left join features.hedonic_index as h using (sale_id)
    where s.is_arms_length and s.time_uncertainty_s = 0 and len(t.trait_codes) > 1
        and d.n_arms_length >= $least and d.chain = $chain
)
select a.collection, b.y - a.y as gap, b.level - a.level as moved
from sales as a
inner join sales as b on a.collection = b.collection and a.traits = b.traits and a.n + 1 = b.n
where a.tx_hash <> b.tx_hash and a.token_id <> b.token_id
    and b.event_time <= a.event_time + to_hours($hours)
"""


@dataclass(frozen=True)
class Floor:
    """Pairs of one kind on one chain, and the lowest median error they leave; errors are fractions.

    Attributes:
        kind: What makes the two sales alike.
        chain: Market.
        pairs: How many.
        collections: In how many collections.
        gap: Median |ln ratio| of the pairs after their median drift is taken off.
        floor: Best possible MdAPE if the noise has the shape of the pairs.
        floor_normal: The same if the noise were normal.
        low, high: Bootstrap 90 % interval of `floor`.
        thin: Median over collections with at least 20 pairs of `floor`; NaN without any.
    """

    kind: str
    chain: str
    pairs: int
    collections: int
    gap: float
    floor: float
    floor_normal: float
    low: float
    high: float
    thin: float


def floor_of(gaps: Floats) -> float:
    """Best possible MdAPE given differences of pairs: median |e| of the noise whose differences these are.

    The noise is taken as Student's t with the degrees of freedom at which two draws differ with the observed ratio of
    90th percentile to median, so that heavy tails are not read as a wide core.
    """
    size = np.abs(gaps - np.median(gaps))
    middle, far = np.quantile(size, 0.5), np.quantile(size, 0.9)
    if middle <= 0:
        return 0.0
    best = min(_SHAPES, key=lambda shape: abs(shape[0] - far / middle))
    return float(np.expm1(middle * best[1]))


def _shapes() -> list[tuple[float, float]]:
    """(90 % / 50 % of |e₁ − e₂|, median |e| / median |e₁ − e₂|) for noises of falling weight of tail."""
    rng = np.random.default_rng(_SEED)
    out = []
    for freedom in (1.0, 1.3, 1.7, 2.2, 3.0, 4.0, 6.0, 10.0, 30.0):
        draws = rng.standard_t(freedom, (2, 200_000))
        apart = np.abs(draws[0] - draws[1])
        middle = np.median(apart)
        out.append((float(np.quantile(apart, 0.9) / middle), float(np.median(np.abs(draws[0])) / middle)))
    return out


_SHAPES = _shapes()


def measure(con: duckdb.DuckDBPyConnection) -> list[Floor]:
    """Both kinds of pairs for every chain with such collections, the level's move between the two taken off."""
    chains = con.execute(
        "select chain from marts.dim_collections where n_arms_length >= $1 group by 1 order by sum(n_sales) desc",
        [MIN_COLLECTION_SALES],
    ).fetchall()
    rng = np.random.default_rng(_SEED)
    found = []
    for (chain,) in chains:
        for kind, sql, hours in (
            (f"same token within {RESALE_HOURS} h", _RESALES, RESALE_HOURS),
            (f"same token within {TWIN_HOURS} h", _RESALES, TWIN_HOURS),
            (f"same traits within {TWIN_HOURS} h", _TWINS, TWIN_HOURS),
        ):
            parameters = {"least": MIN_COLLECTION_SALES, "chain": chain, "hours": hours}
            rows = con.execute(sql, parameters).fetchnumpy()
            gaps = np.asarray(rows["gap"] - np.nan_to_num(np.ma.filled(rows["moved"], 0.0)), float)
            if len(gaps) < 30:
                continue
            names = np.asarray(rows["collection"]).astype(str)
            draws = [floor_of(rng.choice(gaps, len(gaps))) for _ in range(_DRAWS)]
            thin = [floor_of(gaps[names == name]) for name in np.unique(names) if (names == name).sum() >= 20]
            gap = float(np.median(np.abs(gaps - np.median(gaps))))
            low, high = np.quantile(draws, [0.05, 0.95])
            found.append(
                Floor(
                    kind,
                    chain,
                    len(gaps),
                    len(np.unique(names)),
                    gap,
                    floor_of(gaps),
                    float(np.expm1(gap / np.sqrt(2))),
                    float(low),
                    float(high),
                    float(np.median(thin)) if thin else float("nan"),
                )
            )
    return found


def lines(found: list[Floor]) -> list[str]:
    """The floors as text."""
    return [
        f"{f.chain:>9} {f.kind:<24} n={f.pairs:6d} in {f.collections:3d} collections: median |ln ratio| {f.gap:.3f}; "
        f"best possible MdAPE {100 * f.floor:.1f} % [{100 * f.low:.1f}, {100 * f.high:.1f}], if normal "
        f"{100 * f.floor_normal:.1f} %, median over collections {100 * f.thin:.1f} %"
        for f in found
    ]


if __name__ == "__main__":
    with Lake(LakeConfig(home=Path(sys.argv[1]))).read() as con:
        sys.stdout.write("\n".join(lines(measure(con))) + "\n")
