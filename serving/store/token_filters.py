"""The conditions of a page of tokens, in the SQL that every store speaks.

Here: filters. Not here: the place where a page begins, and its order (`sqlite.store`, `postgres.store`).
"""

from __future__ import annotations

from typing import Any

from serving.store.protocol import TokenQuery
from serving.store.schema import NO_VALUE_RANK


def filters(query: TokenQuery, mark: str) -> tuple[list[str], list[Any]]:
    """Conditions on grade, tier, estimate and value, and their values; `mark` stands for a value."""
    where: list[str] = []
    values: list[Any] = []
    for column, wanted in (("grade", query.grades), ("tier", query.tiers)):
        if wanted:
            where.append(f"{column} in ({', '.join([mark] * len(wanted))})")
            values += wanted
    for condition, bound in ((f"rank_eth >= {mark}", query.low_eth), (f"rank_eth <= {mark}", query.high_eth)):
        if bound is not None:
            where += [condition, f"rank_eth <> {NO_VALUE_RANK}"]
            values.append(bound)
    if query.valued is not None:
        where.append(f"rank_eth {'<>' if query.valued else '='} {NO_VALUE_RANK}")
    return where, values
