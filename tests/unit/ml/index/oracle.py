"""A collection for the index kernel, and the slow oracle that computes the same numbers from scratch."""

from __future__ import annotations

import dataclasses

import numpy as np

from ml.index.kernel import Batch
from ml.index.params import IndexParams
from ml.index.replay import N_OUT
from ml.index.valuation import N_COL, N_TOK


@dataclasses.dataclass
class Collection:
    """One collection as the index sees it; ``codes`` is (tokens, types), the rest per sale."""

    day: np.ndarray
    query_day: np.ndarray
    y: np.ndarray
    token: np.ndarray
    prefix: np.ndarray
    codes: np.ndarray
    weights: np.ndarray
    ref_day: float


def make_collection(
    n: int,
    tokens: int,
    types: int,
    seed: int = 0,
    values: int = 4,
    late: float = 0.0,
    ties: float = 0.0,
    unsure: float = 0.0,
    untold: float = 0.0,
) -> Collection:
    """Sales in known order; ``late`` ones happened long before, ``unsure`` ones have an early as_of."""
    rng = np.random.default_rng(seed)
    known = np.sort(rng.uniform(18000, 18200, n))
    for i in range(1, n):
        if rng.random() < ties:
            known[i] = known[i - 1]
    day = known.copy()
    is_late = rng.random(n) < late
    day[is_late] -= rng.uniform(0, 150, is_late.sum())
    half_width = np.where(rng.random(n) < unsure, 0.5, 0.0)
    day -= half_width
    query_day = day - half_width
    codes = rng.integers(0, values, (tokens, types)) + np.arange(types) * values
    shares = rng.uniform(0.001, 1.0, values * max(types, 1))
    weights = np.sqrt(np.maximum(-np.log(shares), 0.05))[codes]
    no_traits = rng.random(tokens) < untold
    codes[no_traits], weights[no_traits] = -1, 0.0
    y = rng.normal(0, 0.6, n) + np.cumsum(rng.normal(0, 0.1, n))
    y[rng.random(n) < 0.1] += 3.0
    return Collection(
        day,
        query_day,
        y,
        rng.integers(0, tokens, n),
        np.minimum(np.searchsorted(known, query_day, side="left"), np.arange(n)),
        codes.astype(np.int32),
        weights,
        18205.0,
    )


def batch_of(collections: list[Collection], params: IndexParams, upto: list[int] | None = None) -> Batch:
    """A full replay of the collections' first ``upto`` sales."""
    upto = upto or [len(c.y) for c in collections]
    pairs = list(zip(collections, upto, strict=True))

    def offsets(sizes: list[int]) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    def rows(field: str) -> np.ndarray:
        return np.concatenate([getattr(c, field)[:n] for c, n in pairs])

    count = len(collections)
    return Batch(
        row_off=offsets(upto),
        tok_off=offsets([len(c.codes) for c in collections]),
        trait_off=offsets([c.codes.size for c in collections]),
        n_types=np.array([c.codes.shape[1] for c in collections]),
        first=np.zeros(count, np.int64),
        start=np.zeros(count, np.int64),
        sales=np.array(upto, np.int64),
        anchor=np.array([np.median(c.y[: params.anchor_sales]) for c in collections]),
        ref_day=np.array([c.ref_day for c in collections]),
        day=rows("day"),
        query_day=rows("query_day"),
        y=rows("y"),
        token=rows("token"),
        prefix=rows("prefix"),
        codes=np.concatenate([c.codes.ravel() for c in collections]),
        weights=np.concatenate([c.weights.ravel() for c in collections]),
    )


def empty_outputs(batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """noise (2, R), out (2, 5, R), tokens (M, 7), summary (C, 4) to be filled."""
    return (
        np.full((2, len(batch.y)), np.nan),
        np.full((2, N_OUT, len(batch.y)), np.nan),
        np.full((int(batch.tok_off[-1]), N_TOK), np.nan),
        np.full((len(batch.first), N_COL), np.nan),
    )


class Oracle:
    """The index by its definition: for every query, K of its own window is built and solved with numpy."""

    def __init__(self, c: Collection, params: IndexParams) -> None:
        self.c, self.params = c, params
        self.y0 = float(np.median(c.y[: params.anchor_sales]))
        self.noise = np.full((2, len(c.y)), np.nan)
        for v, variant in enumerate((params.fast, params.slow)):
            for i in range(len(c.y)):
                mean, var = self.predict(v, i, int(c.token[i]), c.day[i])[:2]
                error = abs(c.y[i] - mean) / np.sqrt(var + variant.noise)
                self.noise[v, i] = variant.noise * max(1.0, error / variant.hub) ** 2

    def similarity(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        codes, weights = self.c.codes, self.c.weights
        if codes.shape[1] == 0:
            return np.zeros((len(a), len(b)))
        shared = ((codes[a][:, None, :] == codes[b][None, :, :]) * weights[a][:, None, :]).sum(axis=2)
        total = np.sqrt(weights[a].sum(1)[:, None] * weights[b].sum(1)[None, :])
        return np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)

    def predict(
        self, v: int, prefix: int, token: int, day: float
    ) -> tuple[float, float, float, float, float]:
        """mean, variance, level part, token part, level variance of a query that sees ``prefix`` sales."""
        variant = (self.params.fast, self.params.slow)[v]
        j = np.arange(self.params.window_start(prefix), prefix)

        def clock(days: np.ndarray, count: np.ndarray) -> np.ndarray:
            return variant.day_drift * days + variant.trade_drift * count

        u = clock(self.c.day[j], j + 1)
        u_query = clock(np.array([day]), np.array([prefix + 1]))
        base = u[0] if len(j) else u_query[0]
        u, u_query = np.maximum(u, base) - base, np.maximum(u_query, base) - base

        def parts(ta, ua, da, tb, ub, db):
            s = self.similarity(ta, tb)
            level = 1 + np.minimum(ua[:, None], ub[None, :])
            trait = variant.trait_variance * s + variant.trait_variance_sharp * s**6
            same = ta[:, None] == tb[None, :]
            own = (
                variant.token_variance
                * same
                * np.exp(-np.abs(da[:, None] - db[None, :]) / variant.token_decay_days)
            )
            return level, trait, own

        q = (np.array([token]), u_query, np.array([day]))
        prior_level, prior_trait, prior_own = (part[0, 0] for part in parts(*q, *q))
        prior = prior_level + prior_trait + prior_own
        if len(j) == 0:
            return self.y0, prior, self.y0, 0.0, prior_level
        window = (self.c.token[j], u, self.c.day[j])
        k = sum(parts(*window, *window)) + np.diag(self.noise[v, j])
        level, trait, own = (part[0] for part in parts(*q, *window))
        alpha = np.linalg.solve(k, self.c.y[j] - self.y0)
        full = level + trait + own
        return (
            self.y0 + full @ alpha,
            prior - full @ np.linalg.solve(k, full),
            self.y0 + level @ alpha,
            own @ alpha,
            prior_level - level @ np.linalg.solve(k, level),
        )


#: Rebuild at 9 sales on the last 6, appended 3 at a time: every boundary is met in a few dozen sales.
SMALL_WINDOW = IndexParams(step=3, keep_steps=2, block=3)
