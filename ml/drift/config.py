"""The thresholds of drift detection, with their units, in one place.

Here: `DriftConfig`. Not here: the statement that applies it (`ml.drift.statement`). Where the numbers come from is in
docs/adr/0020-drift.md; `python -m benchmarks --only drift` measures what they give.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DriftConfig:
    """When a distribution counts as having moved.

    A window is a block of consecutive sales of one collection on a fixed grid of its known order, so a new window
    exists only once it is full, and hourly passes do not test the same sales again and again.

    Attributes:
        window_sales: Sales of a window, from the number of sales a collection has had: (from, sales).
        judged_windows: Newest windows that are compared with the reference.
        votes: How many of them must be significant for a drift.
        reference_windows: Windows before those that make the reference, at most.
        least_reference_windows: And at least; below it the state is `too_few`.
        least_share: Share of a window's sales that must be there (a feature may be unknown for some).
        least_market_sales: Sales that make a day of a market a window.
        false_discovery_rate: Of all tests of a pass, the expected share of wrong ones among the significant.
        caution: Standard errors added to the ordinary distance, because it was measured on few and dependent windows.
        least_beyond: Times the largest distance among the reference's own windows that a drift must reach. It holds
            where p-values do not: for values that wander so slowly that a window holds one excursion.
        least_ks: Kolmogorov–Smirnov distance below which nothing is called drift, however certain.
        least_psi: The same for the PSI above what sampling alone gives.
        active_days: A collection without a sale for as many days is not tested.
        keep_days: Retention of the scores, in as-of time.
    """

    window_sales: tuple[tuple[int, int], ...] = ((0, 20), (600, 40), (3000, 80))
    judged_windows: int = 3
    votes: int = 2
    reference_windows: int = 12
    least_reference_windows: int = 4
    least_share: float = 0.75
    least_market_sales: int = 50
    false_discovery_rate: float = 0.01
    caution: float = 2.0
    least_beyond: float = 1.5
    least_ks: float = 0.3
    least_psi: float = 0.25
    active_days: int = 90
    keep_days: int = 180

    def __post_init__(self) -> None:
        """Refuse settings that cannot mean anything.

        Raises:
            ValueError: naming the field, what was expected and what was found.
        """
        starts = [start for start, _ in self.window_sales]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError(f"window_sales: expected rising starts from 0, found {self.window_sales}")
        if not 1 <= self.votes <= self.judged_windows:
            raise ValueError(f"votes: expected 1 to {self.judged_windows}, found {self.votes}")
        if not 2 <= self.least_reference_windows <= self.reference_windows:
            raise ValueError(
                f"least_reference_windows: expected 2 to {self.reference_windows}, found {self.least_reference_windows}"
            )
        if not 0 < self.false_discovery_rate < 1:
            raise ValueError(f"false_discovery_rate: expected 0 to 1, found {self.false_discovery_rate}")


DEFAULT_DRIFT = DriftConfig()
