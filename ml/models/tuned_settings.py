"""Settings that studies have adopted, and which of them a fit may use.

Here: reading ops.tuned_settings, and laying adopted settings over a recipe's defaults as of a time. Not here: how
settings are found and judged (`ml.tuning`), or the table's DDL (`ml.tuning.tables`).

Concept: a setting chosen on sales until some time was influenced by every one of them. A fit that prices
earlier sales must not use it, or past errors would be too low; so settings come into force at the time of
their decision, and a fold keeps for ever the settings of its own cutoff. A setting was measured against one recipe
(features and defaults): under another recipe it is ignored until it has been measured again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

if TYPE_CHECKING:
    from ml.models.local import LocalConfig

Config = TypeVar("Config")

MARKET, COLLECTION, CLASS = "market", "collection", "class"
"""What a row of ops.tuned_settings is about: a market's prior, a collection's booster, a class of collections."""


@dataclass(frozen=True)
class Adopted:
    """One adopted setting.

    Attributes:
        decided_at: Newest `known_at` in the data of the study that chose it, microseconds since the epoch.
        params: Field of the config to its value; empty means a return to the recipe's defaults.
    """

    decided_at: int
    params: Mapping[str, Any]


def settings_at(base: Config, adopted: Sequence[Adopted], as_of: int | None) -> Config:
    """The settings in force as of a time.

    Args:
        base: The recipe's defaults, a frozen dataclass.
        adopted: Adopted settings of the scope, in order of decision.
        as_of: Microseconds since the epoch; a setting decided at or after it is not used. None: the newest.

    Returns:
        `base` with the newest usable setting laid over it.
    """
    usable = [setting for setting in adopted if as_of is None or setting.decided_at < as_of]
    return replace(base, **usable[-1].params) if usable else base  # type: ignore[type-var]


def recipe_of_local(config: LocalConfig, feature_fingerprint: str) -> str:
    """The recipe that settings of a local booster are measured against: features and defaults, not time limits."""
    shape = asdict(config)
    shape.pop("seconds")
    return recipe(
        feature_fingerprint, hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]
    )


def recipe(feature_fingerprint: str, config_fingerprint: str) -> str:
    """One name for features and default settings together."""
    return f"{feature_fingerprint}/{config_fingerprint}"


def read_adopted(
    con: duckdb.DuckDBPyConnection, kind: str, recipe_name: str
) -> dict[str, tuple[Adopted, ...]]:
    """Adopted settings by market or collection, each in order of decision.

    Args:
        con: A read connection.
        kind: `MARKET` or `COLLECTION`.
        recipe_name: Only settings measured against this recipe.
    """
    rows: list[tuple[Any, ...]] = con.execute(
        """
        select scope, epoch_us(decided_at), params from ops.tuned_settings
        where scope_kind = $1 and recipe = $2 and adopted order by scope, decided_at, study
        """,
        [kind, recipe_name],
    ).fetchall()
    found: dict[str, tuple[Adopted, ...]] = {}
    for scope, decided_at, params in rows:
        found[scope] = (*found.get(scope, ()), Adopted(decided_at, json.loads(params)))
    return found
