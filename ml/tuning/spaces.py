"""What may be tuned and between which bounds, as data.

Here: the search spaces of the pooled prior and of a collection's booster. Not here: who searches them
(`ml.tuning.study`), or what a setting is worth (`ml.tuning.pooled_objective`, `ml.tuning.local_objective`).

Concept: a dimension is a field of the config it tunes, so a trial's parameters are laid over the defaults with
`dataclasses.replace` and a renamed field fails loudly. Bounds enclose the measured recipe (docs/domain.md, section 5)
by about a factor of four on either side. `min_data_in_leaf` is not there: symmetric trees, which both recipes grow,
ignore it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ml.models.local import LocalConfig
from ml.models.prior import PriorConfig

if TYPE_CHECKING:
    import optuna

Params = Mapping[str, Any]
"""Field of a config to its value."""


@dataclass(frozen=True)
class Dimension:
    """One setting.

    Attributes:
        name: Field of the config.
        low: Smallest value.
        high: Largest value.
        log: Whether the value is searched on a log scale.
        whole: Whether it is a whole number.
        choices: The only values tried; bounds then only document them.
    """

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    choices: tuple[int, ...] = ()

    def distribution(self) -> optuna.distributions.BaseDistribution:
        """The dimension as Optuna wants it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)

    def holds(self, value: float) -> bool:
        """Whether the space contains a value."""
        return value in self.choices if self.choices else self.low <= value <= self.high


Space = tuple[Dimension, ...]

POOLED_SPACE: Space = (
    Dimension("iterations", 120, 1000, log=True, whole=True),
    Dimension("depth", 3, 7, whole=True),
    Dimension("learning_rate", 0.015, 0.25, log=True),
    Dimension("rsm", 0.2, 1.0),
    Dimension("border_count", 16, 64, choices=(16, 32, 64)),
    Dimension("l2_leaf_reg", 0.3, 30.0, log=True),
    Dimension("quantile", 0.44, 0.53),
)
"""Settings of `PriorConfig`. Weights and clipping stay: they define what the prior is for, and shape the pools."""

LOCAL_SPACE: Space = (
    Dimension("iterations", 30, 480, log=True, whole=True),
    Dimension("depth", 2, 7, whole=True),
    Dimension("learning_rate", 0.0125, 0.2, log=True),
    Dimension("l2_leaf_reg", 2.0, 50.0, log=True),
    Dimension("shrink_rows", 100.0, 4000.0, log=True),
)
"""Settings of `LocalConfig`; `shrink_rows` is how many sales the booster needs for a weight of one half."""


def current(space: Space, config: PriorConfig | LocalConfig) -> dict[str, Any]:
    """The values a config has now, for the dimensions of a space."""
    return {dimension.name: getattr(config, dimension.name) for dimension in space}


def distributions(space: Space) -> dict[str, Any]:
    """Name to Optuna distribution."""
    return {dimension.name: dimension.distribution() for dimension in space}


def inside(space: Space, params: Params) -> bool:
    """Whether parameters name every dimension and lie within it."""
    return set(params) == {d.name for d in space} and all(d.holds(params[d.name]) for d in space)


def refuse_unknown_fields(space: Space, config: PriorConfig | LocalConfig) -> None:
    """Fail when a dimension is no field of the config.

    Raises:
        ValueError: Naming the dimensions.
    """
    unknown = {d.name for d in space} - {field.name for field in fields(config)}
    if unknown:
        raise ValueError(
            f"{type(config).__name__} has no field {', '.join(sorted(unknown))}; fix the search space"
        )
