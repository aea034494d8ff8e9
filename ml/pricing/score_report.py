"""What a scoring did, in counts.

Here: reading them from the estimates just written. Not here: scoring (`ml.pricing.scoring`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb


@dataclass(frozen=True)
class ScoreReport:
    """What a scoring did.

    Attributes:
        as_of: Time that was scored.
        tokens: Tokens in scope.
        valued: Tokens with an estimate.
        collections: Collections in scope.
        tokens_by_tier: Tokens by tier.
        collections_by_tier: Collections by tier.
        tokens_by_reason: Tokens without a value by reason.
        history_rows: Rows appended to predictions.estimate_history.
        replaced_champions: Collections whose champion could not be used, with the reason.
        seconds: Time by stage.
    """

    as_of: datetime
    tokens: int
    valued: int
    collections: int
    tokens_by_tier: dict[str, int]
    collections_by_tier: dict[str, int]
    tokens_by_reason: dict[str, int]
    history_rows: int
    replaced_champions: dict[str, str]
    seconds: dict[str, float]


def score_report(
    con: duckdb.DuckDBPyConnection,
    as_of: datetime,
    only: Sequence[str] | None,
    history: int,
    replaced: dict[str, str],
    seconds: dict[str, float],
) -> ScoreReport:
    """Counts of the collections in the temporary table `_facts` of `scoring`.

    Args:
        con: The connection that scored.
        as_of: Time that was scored.
        only: Collections in scope; all when None.
        history: Rows appended to predictions.estimate_history.
        replaced: Collections whose champion could not be used, with the reason.
        seconds: Time by stage.
    """
    rows = con.execute(
        """
        select e.tier, e.no_value_reason, count(*)
        from predictions.token_estimates as e inner join _facts on e.collection = _facts.collection
        group by all
        """
    ).fetchall()
    by_tier: dict[str, int] = {}
    by_reason: dict[str, int] = {}
    for tier, reason, tokens in rows:
        by_tier[tier] = by_tier.get(tier, 0) + tokens
        if reason is not None:
            by_reason[reason] = by_reason.get(reason, 0) + tokens
    tiers = con.execute(
        """
        select coalesce(tier, 'none'), count(*) from (
            select _facts.collection, max(e.tier) filter (e.tier <> 'none') as tier from _facts
            left join predictions.token_estimates as e on _facts.collection = e.collection group by 1
        ) group by 1
        """
    ).fetchall()
    total = sum(by_tier.values())
    return ScoreReport(
        as_of=as_of,
        tokens=total,
        valued=total - by_tier.get("none", 0),
        collections=sum(count for _, count in tiers),
        tokens_by_tier=by_tier,
        collections_by_tier=dict(tiers),
        tokens_by_reason=by_reason,
        history_rows=history,
        replaced_champions=replaced
        if only is None
        else {k: v for k, v in replaced.items() if k in set(only)},
        seconds=seconds,
    )
