"""Which collections deserve a study, and how much of the budget.

Here: the rule, in SQL over what earlier trainings recorded. Not here: the studies (`ml.tuning.collections`).

Concept: twelve trials for each small collection bought nothing over one shared conservative setting (22.3 against 22.2
%, docs/domain.md, section 5). So a collection is tuned only when it has the sales to distinguish settings and an
earlier window gave its booster a weight; the rest of the budget would be spent on noise. A class of collections where
no study of several paid rests for a while.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ml.features.tables import SALE_FEATURES
from ml.tables.set_aside import collections_aside


@dataclass(frozen=True)
class WorthRule:
    """When a collection is worth a study.

    Attributes:
        min_sales: Out-of-fold sales below which settings cannot be distinguished: with 1,000 the later window has 200.
        studies: Studies of one call at most.
        min_seconds: A study shorter than this finds nothing; fewer are then run.
        bands: Upper ends of the size classes, in sales.
        class_studies: Studies of a class, none of which paid, after which the class rests.
        class_rest_days: Days of as-of time for which it rests.
    """

    min_sales: int = 1000
    studies: int = 8
    min_seconds: float = 60.0
    bands: tuple[int, ...] = (3000, 10_000)
    class_studies: int = 3
    class_rest_days: float = 180.0


@dataclass(frozen=True)
class Worth:
    """A collection that may be worth a study.

    Attributes:
        collection: Which.
        group: Its class: chain and band of sales.
        sales: Its sales, which the reader needs to know beforehand.
        value: Sales × mean |log error| of what they were priced with.
        newest: When its newest sale became known.
    """

    collection: str
    group: str
    sales: int
    value: float
    newest: datetime


def worth_tuning(con: duckdb.DuckDBPyConnection, rule: WorthRule) -> list[Worth]:
    """Collections with enough sales and a booster that an earlier window gave a weight, most valuable first.

    Those whose sales are set aside have no features to fit on.
    """
    rows = con.execute(
        f"""
        with weighed as (
            select sale_id, collection, prediction_log from predictions.local_walk_forward where weight > 0
        )

        select w.collection, coalesce(d."chain", 'unknown'), count(*), count(*) filter (w.fold > 0) as priced,
            sum(abs(w.target_log - coalesce(l.prediction_log, w.prediction_log))) filter (w.fold > 0) as value,
            max(w.known_at)
        from predictions.prior_walk_forward as w
        left join weighed as l on w.sale_id = l.sale_id
        left join marts.dim_collections as d on w.collection = d.collection
        where w.collection in (select collection from weighed)
            and w.collection not in ({collections_aside(SALE_FEATURES)})
        group by all
        having priced >= $1
        order by value desc, w.collection
        """,
        [rule.min_sales],
    ).fetchall()
    return [
        Worth(name, class_of(chain, priced, rule), sales, value, newest)
        for name, chain, sales, priced, value, newest in rows
    ]


def class_of(chain: str, sales: int, rule: WorthRule) -> str:
    """The class of a collection: chain and band of sales."""
    band = next((f"under {edge:,}" for edge in rule.bands if sales < edge), f"{rule.bands[-1]:,} and more")
    return f"{chain}, {band} sales"


def share_budget(
    candidates: Sequence[Worth],
    seconds: float,
    rule: WorthRule,
    resting: Mapping[str, datetime],
    first: Collection[str] = (),
) -> list[tuple[Worth, float]]:
    """Who is tuned for how long: in proportion to value, none for less than `min_seconds`.

    Args:
        candidates: Most valuable first.
        seconds: The budget.
        rule: Bounds.
        resting: Until when the verdict on a collection or a class stands.
        first: Collections that come before the others and do not rest: training them again did not help.
    """
    asked = [w for w in candidates if w.collection in first]
    others = [
        w
        for w in candidates
        if w.collection not in first
        and all(name not in resting or resting[name] <= w.newest for name in (w.collection, w.group))
    ]
    open_ = [*asked, *others][: rule.studies]
    while open_:
        total = sum(w.value for w in open_)
        shares = [(w, seconds * w.value / total) for w in open_]
        if min(share for _, share in shares) >= rule.min_seconds:
            return shares
        if len(open_) == 1:
            return []
        open_ = open_[:-1]
    return []
