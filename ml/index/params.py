"""Parameters of the causal Gaussian-process hedonic index, and their fingerprint.

What is here: the two measured variants (fast A, slow B) and the window that fixes which sales a state
remembers. What is not: any arithmetic on prices (see `ml.index.kernel`). The concept: an index value can only be
compared with another one computed under the same parameters, so every stored state carries
``IndexParams.fingerprint()``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
from numpy.typing import NDArray

#: Raised when the arithmetic changes in a way that makes stored noises unusable for a restart.
KERNEL_REVISION = 1


@dataclasses.dataclass(frozen=True)
class Variant:
    """One Gaussian process over ln price; form from docs/domain.md, section 5.1, constants from ADR 19.

    Attributes:
        trade_drift: variance the level gains per sale (``qn``). day_drift: variance the level gains per
        calendar day (``qd``). noise: variance of one sale around its value (``R``). trait_variance:
        variance shared in proportion to trait similarity (``vt``). trait_variance_sharp: variance shared by
        near-identical tokens, similarity to the sixth power (``vt2``). token_variance: variance shared by
        sales of one token (``vk``). token_decay_days: e-folding time of the token part, in days. hub:
        standardised one-step error beyond which a sale's noise is inflated to ``R * (e / hub)**2``.
    """

    trade_drift: float
    day_drift: float
    noise: float
    trait_variance: float
    trait_variance_sharp: float
    token_variance: float
    token_decay_days: float
    hub: float

    def as_row(self) -> list[float]:
        """The constants in the order the kernel reads them (the columns ``V_*`` of ``kernel``)."""
        return list(dataclasses.astuple(self))


FAST = Variant(0.02, 0.005, 0.05, 0.3, 0.0, 0.02, 90.0, 0.5)
SLOW = Variant(0.004, 0.002, 0.1, 0.8, 0.05, 0.02, 90.0, 1.0)


@dataclasses.dataclass(frozen=True)
class IndexParams:
    """Both variants and the window (docs/domain.md, section 5.1).

    The state after ``p`` sales remembers the sales from ``window_start(p)`` on: the last ``step *
    keep_steps`` at the last multiple of ``step``, plus those since. It depends on the count alone, so a
    replay and an incremental run see the same window.

    Attributes:
        fast: variant A, whose mean is the base of every price gap. slow: variant B. step: sales between two
        rebuilds of the factor. keep_steps: how many steps a rebuild keeps (2 x 300 = 600 sales). block:
        sales appended per matrix multiplication; must divide ``step``. Changes speed, not results.
        anchor_sales: the collection's first sales whose median ln price is the constant y0. min_sales:
        visible sales below which there is no index. min_information: lower bound on -ln(supply share) of a
        trait value, so that a universal trait still counts.
    """

    fast: Variant = FAST
    slow: Variant = SLOW
    step: int = 300
    keep_steps: int = 2
    block: int = 50
    anchor_sales: int = 3
    min_sales: int = 3
    min_information: float = 0.05

    def __post_init__(self) -> None:
        if self.step % self.block:
            raise ValueError(
                f"IndexParams: block must divide step, found block={self.block} and step={self.step}; "
                "choose a divisor so that rebuilds fall on block boundaries"
            )
        if self.fast.trait_variance_sharp:
            raise ValueError(
                "IndexParams: the fast variant must have trait_variance_sharp 0, found "
                f"{self.fast.trait_variance_sharp}; its token variances are closed forms that need a "
                "covariance linear in the traits"
            )
        if self.min_sales < self.anchor_sales:
            raise ValueError(
                f"IndexParams: min_sales ({self.min_sales}) must be at least anchor_sales "
                f"({self.anchor_sales}): a prediction may not be anchored on sales it cannot see"
            )

    @property
    def capacity(self) -> int:
        """Most sales a factor can hold before its rebuild."""
        return self.step * (self.keep_steps + 1)

    def window_start(self, prefix: int) -> int:
        """0-based position of the first sale remembered by the state after ``prefix`` sales."""
        return max(0, (prefix // self.step - self.keep_steps) * self.step)

    def variant_table(self) -> NDArray[np.float64]:
        """Both variants as a (2, 8) array, A first."""
        return np.array([self.fast.as_row(), self.slow.as_row()])

    def fingerprint(self) -> str:
        """Short hash of everything that changes an index value (``block`` does not)."""
        content = dataclasses.asdict(self)
        del content["block"]
        content["kernel_revision"] = KERNEL_REVISION
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


DEFAULT_PARAMS = IndexParams()
