"""The oracle of the benchmarks is one: on its own family of markets it finds the level and the premiums."""

from __future__ import annotations

import numpy as np

from benchmarks.oracle import Compared, rows_by_size
from benchmarks.oracle_posterior import Observed, Truths, posterior_log_value

KNOWN = Truths(daily_sd=0.04, step_sd=0.048, decay=0.5 ** (1 / 40), noise=0.05, has_traits=True)


def market(seed: int, sales: int) -> tuple[Observed, np.ndarray]:
    """Sales of 60 tokens with three traits, of which a few rare values are worth something, and the truth."""
    rng = np.random.default_rng(seed)
    tokens, per_type = 60, 8
    share = np.array([0.4, 0.2, 0.14, 0.1, 0.06, 0.05, 0.03, 0.02])
    values = np.stack([rng.choice(per_type, tokens, p=share) + per_type * t for t in range(3)], axis=1)
    premium = rng.normal(0, 0.02, 3 * per_type)
    premium[[6, 7, 14, 23]] = (0.8, 1.2, 0.5, 1.0)
    effect = premium[values].sum(axis=1) + rng.normal(0, 0.05, tokens)
    day = np.sort(rng.uniform(0, 60, sales))
    slow = np.cumsum(rng.normal(0, 1, sales) * KNOWN.daily_sd * np.sqrt(np.diff(day, prepend=0)))
    swing = np.zeros(sales)
    for i in range(1, sales):
        swing[i] = KNOWN.decay * swing[i - 1] + rng.normal(0, KNOWN.step_sd)
    token = rng.integers(0, tokens, sales)
    log_price = slow + swing + effect[token] + KNOWN.noise * np.clip(rng.standard_t(3, sales), -30, 30)
    seen = Observed(day, log_price, token, values, -np.log(np.tile(share, 3)), float(day[-1]))
    return seen, slow[-1] + swing[-1] + effect


def test_the_oracle_recovers_unknown_values() -> None:
    found = [market(seed, 250) for seed in range(3)]
    errors = np.concatenate(
        [posterior_log_value(seen, KNOWN, np.random.default_rng(0), 120) - truth for seen, truth in found]
    )
    naive = np.concatenate([np.median(seen.log_price[-30:]) - truth for seen, truth in found])
    assert np.median(np.abs(errors)) < 0.08
    assert np.median(np.abs(errors)) < 0.5 * np.median(np.abs(naive))


def test_the_table_separates_level_from_shape() -> None:
    shifted = Compared("a", 50, np.full(9, 0.2), np.full(9, 0.1))
    row = rows_by_size([shifted])[-1]
    assert row["sales"] == "all"
    assert np.isclose(float(row["assay_level"]), 0.2)
    assert np.isclose(float(row["assay_shape"]), 0.0)
    assert np.isclose(float(row["ratio"]), np.expm1(0.2) / np.expm1(0.1))
