"""Whether a tuned setting is better than the one in force, on sales the search has not seen.

Here: the paired comparison on the later window, and the rule of adoption. Not here: the fits (`scopes`), or what an
adopted setting changes (`ml.models.tuned_settings`).

Concept: both settings price the same sales, so the difference of their |log errors| is paired. Sales of one collection
in one week share the index and its mistakes; they are resampled together (cluster bootstrap), or thousands of sales
would count as thousands of independent ones. Errors are averaged over seeds first: two fits that differ in nothing but
their seed differ by a few tenths of a percent, and a gain of that size is chance.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AdoptionRule:
    """When a setting is adopted.

    Attributes:
        confidence: Two-sided confidence of the interval; its lower end must be above zero.
        min_gain: Relative fall of the mean |log error| that is worth changing every estimate for.
        level_slack: The median log error may not be further from zero than before by more than this.
        draws: Bootstrap resamples.
        seeds: Seeds of the fits whose errors are averaged.
    """

    confidence: float = 0.95
    min_gain: float = 0.003
    level_slack: float = 0.01
    draws: int = 1000
    seeds: tuple[int, ...] = (7, 8)


@dataclass(frozen=True)
class Gain:
    """A setting against the one in force on the later window.

    Attributes:
        n: Sales compared.
        before: Mean |log error| of the settings in force.
        after: The same of the tuned settings.
        gain: 1 − after / before; positive is better.
        low: Lower end of the bootstrap interval of the gain.
        high: Upper end.
        mdape_before: Median |estimate / price − 1| of the settings in force, for the report.
        mdape_after: The same of the tuned settings.
        level_before: Median log error of the settings in force.
        level_after: The same of the tuned settings.
    """

    n: int
    before: float
    after: float
    gain: float
    low: float
    high: float
    mdape_before: float
    mdape_after: float
    level_before: float
    level_after: float

    def numbers(self) -> dict[str, float]:
        """As a plain dict, for the decision log and reports."""
        return asdict(self)


def paired_gain(
    before: list[Float], after: list[Float], clusters: Codes, rule: AdoptionRule, seed: int
) -> Gain:
    """Compare two settings on the same sales.

    Args:
        before: ln price − ln estimate under the settings in force, one array of shape (n,) per seed.
        after: The same under the tuned settings.
        clusters: Dense code of what is resampled together, shape (n,).
        rule: Confidence and draws.
        seed: Seed of the resampling.
    """
    old, new = (np.mean([np.abs(errors) for errors in side], axis=0) for side in (before, after))
    sums = np.stack([np.bincount(clusters, weights=errors) for errors in (old, new)])
    rng, count = np.random.default_rng(seed), sums.shape[1]
    draws = np.empty(rule.draws)
    for draw in range(rule.draws):
        weight = np.bincount(rng.integers(0, count, count), minlength=count)
        resampled = sums @ weight
        draws[draw] = 1.0 - resampled[1] / resampled[0]
    tail = (1.0 - rule.confidence) / 2
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    return Gain(
        n=len(old),
        before=float(old.mean()),
        after=float(new.mean()),
        gain=float(1.0 - new.mean() / old.mean()),
        low=float(low),
        high=float(high),
        mdape_before=_mdape(before),
        mdape_after=_mdape(after),
        level_before=float(np.median(np.concatenate(before))),
        level_after=float(np.median(np.concatenate(after))),
    )


def adopted(gain: Gain, rule: AdoptionRule) -> tuple[bool, str, str]:
    """Whether a gain is worth a change: (adopted, rule, reason for people)."""
    message = (
        f"mean |log error| {gain.before:.4f} -> {gain.after:.4f} on {gain.n} later sales, gain {100 * gain.gain:.2f} % "
        f"({100 * gain.low:.2f} to {100 * gain.high:.2f})"
    )
    if gain.low <= 0.0:
        return False, "buys_nothing", f"{message}: not beyond noise"
    if gain.gain < rule.min_gain:
        return False, "buys_too_little", f"{message}: a change is worth it from {100 * rule.min_gain:.1f} %"
    if abs(gain.level_after) > abs(gain.level_before) + rule.level_slack:
        return False, "shifts_level", f"{message}, but the median log error moves to {gain.level_after:+.3f}"
    return True, "later_window", message


def clusters_of(collection: Codes, known_at: Codes, days: float) -> Codes:
    """Dense code of (collection, period of so many days), shape (n,)."""
    period = (known_at // int(days * 86_400_000_000)).astype(np.int64)
    pairs = np.stack([collection.astype(np.int64), period])
    return np.asarray(np.unique(pairs, axis=1, return_inverse=True)[1], np.int64).reshape(-1)


def _mdape(errors: list[Float]) -> float:
    return float(np.mean([np.median(np.abs(np.expm1(-side))) for side in errors]))
