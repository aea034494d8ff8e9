"""Replacing a worse model by its previous version, or moving its collection to a lower tier.

Here: which champions are worth examining (`suspects`), the verdict on each, and carrying it out. Not here: the paired
comparison (`ml.retraining.contest`), or valuing the tokens again (`ml.pricing.scoring`).

Concept: a champion is replaced by its predecessor when the predecessor would have been better on sales that neither has
seen. A collection whose model has been trained again and still loses against the median of five sales beyond noise
falls back a tier, but only onto one that is not worse on the same sales: a bad model is not replaced by a worse one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import duckdb
import numpy as np

from ml.models.frames import FeatureSet
from ml.monitoring.online_error import ALL, newest_online
from ml.registry.champion import Champion
from ml.registry.champions import ChampionRegistry
from ml.registry.errors import RegistryError
from ml.registry.mirror import Decision, read_champions, record, rollback
from ml.retraining.contest import CannotPriceError, Contest, Pricer, UnseenSales, compare, read_unseen
from ml.retraining.policy import RULE_NOT_TRUSTED, RULE_PREVIOUS, RetrainingPolicy
from ml.retraining.tables import QUEUE
from ml.states import Action, Tier

LOWER = {Tier.OWN: Tier.POOLED, Tier.POOLED: Tier.INDEX}
"""The tier below."""


@dataclass(frozen=True)
class Suspect:
    """A champion worth examining.

    Attributes:
        collection: Whose.
        version: Its version in the registry.
        window_end: Newest sale it was judged on; with the version it names what is to be examined.
    """

    collection: str
    version: int
    window_end: datetime


@dataclass(frozen=True)
class Finding:
    """What an examination found.

    Attributes:
        collection: Whose champion.
        action: rolled_back, fell_back, none, or failed: the registry refused, and the champion stays.
        reason: For people, with the numbers that mattered.
        contest: The comparison that decided; None when there was nothing to compare.
        champion: The current champion.
    """

    collection: str
    action: str
    reason: str
    contest: Contest | None = None
    champion: Champion | None = None


@dataclass(frozen=True)
class RestoreDecision:
    """A verdict not carried out yet."""

    action: str
    reason: str
    contest: Contest | None
    lower: Champion | None = field(default=None)


def suspects(
    con: duckdb.DuckDBPyConnection, as_of: datetime, policy: RetrainingPolicy | None = None
) -> list[Suspect]:
    """Champions whose errors are larger than before and that have something to be replaced by, most valuable first.

    Reads stored judgements only, so that a sensor can ask every minute.
    """
    policy = policy or RetrainingPolicy()
    trained = f"select collection, priority from {QUEUE} where last_trained is not null"
    rows = con.execute(
        f"""
        select c.collection, c.version, o.window_end
        from ({newest_online()}) as o
        inner join ops.champions as c on o.collection = c.collection
        left join ({trained}) as q on c.collection = q.collection
        where o.collection <> '{ALL}' and o.window_end >= $as_of::timestamp - to_days($stale)
            and o.window_end > c.trained_until and o.n >= $least
            and (
                c.previous_version is not null and o.mdape > o.past_mdape
                or q.collection is not null and c.tier <> '{Tier.INDEX}' and o.z_worse_than_med_5 >= $distrust
            )
        order by q.priority desc nulls last, c.collection
        """,
        {
            "as_of": as_of,
            "stale": int(policy.stale_days),
            "least": min(policy.contest_sales, policy.effect_sales),
            "distrust": policy.distrust_z,
        },
    ).fetchall()
    return [Suspect(*row) for row in rows]


def examine(
    con: duckdb.DuckDBPyConnection,
    registry: ChampionRegistry,
    keys: Sequence[str],
    as_of: datetime,
    *,
    policy: RetrainingPolicy | None = None,
    features: FeatureSet | None = None,
) -> dict[str, RestoreDecision]:
    """Judge the champions of some collections; nothing is changed.

    Args:
        con: A read connection.
        registry: Where previous versions are described.
        keys: Collections; those without a champion are left out.
        as_of: Time of the data: nothing known at or after it is used.
        policy: Thresholds.
        features: Features the lake holds; those declared now when None.
    """
    policy, features = policy or RetrainingPolicy(), features or FeatureSet.declared()
    champions = read_champions(con, list(keys))
    before, unread = {}, {}
    for key, champion in champions.items():
        if champion.previous_version is None:
            continue
        try:
            before[key] = registry.version(key, champion.previous_version, champion.version)
        except RegistryError as error:
            unread[key] = RestoreDecision(Action.NONE, f"its previous version was not read: {error}", None)
    since = {
        key: max(champion.trained_until, before[key].trained_until)
        if key in before
        else champion.trained_until
        for key, champion in champions.items()
    }
    sales = read_unseen(con, since, as_of, features, policy.contest_most_sales)
    pricer = Pricer(con, registry.artifacts, features)
    trained_again = _trained_again(con)
    decisions = dict(unread)
    for key, champion in champions.items():
        if key in unread:
            continue
        own = sales.get(key)
        if own is None or len(own) < policy.contest_sales:
            found = f"{len(own) if own else 0} sales since its training; {policy.contest_sales} decide"
            decisions[key] = RestoreDecision(Action.NONE, found, None)
            continue
        decisions[key] = _rule(champion, before.get(key), own, pricer, key in trained_again, policy)
    return decisions


def restore(
    con: duckdb.DuckDBPyConnection,
    registry: ChampionRegistry,
    decisions: dict[str, RestoreDecision],
    run_id: str,
    as_of: datetime,
) -> list[Finding]:
    """Carry the decisions out in the caller's transaction: registry, champions and decision log together.

    Args:
        con: A write connection of the lake.
        registry: The registry of record.
        decisions: From `examine`.
        run_id: The run that decides.
        as_of: As-of time, written as the time of the decisions.
    """
    findings = []
    for key, decision in decisions.items():
        try:
            champion = _carry_out(con, registry, key, decision, run_id, as_of)
        except RegistryError as error:
            findings.append(Finding(key, Action.FAILED, str(error), decision.contest))
        else:
            findings.append(Finding(key, decision.action, decision.reason, decision.contest, champion))
    return findings


def _carry_out(
    con: duckdb.DuckDBPyConnection,
    registry: ChampionRegistry,
    key: str,
    decision: RestoreDecision,
    run_id: str,
    as_of: datetime,
) -> Champion | None:
    """The champion after a decision, or None where it changes nothing."""
    numbers = decision.contest.numbers() if decision.contest else {}
    if decision.action == Action.ROLLED_BACK:
        return rollback(
            con, registry, key, run_id, decision.reason, rule=RULE_PREVIOUS, decided_at=as_of, numbers=numbers
        )
    if decision.action != Action.FELL_BACK or decision.lower is None:
        return None
    current = read_champions(con, [key])[key]
    champion = registry.promote(decision.lower, current)
    logged = Decision(
        as_of,
        run_id,
        key,
        Action.FELL_BACK,
        RULE_NOT_TRUSTED,
        decision.reason,
        {**numbers, "prior_version": champion.prior_version},
        champion.model_version,
        current.model_version,
    )
    record(con, [champion], [logged])
    return champion


def _rule(
    champion: Champion,
    previous: Champion | None,
    sales: UnseenSales,
    pricer: Pricer,
    trained_again: bool,
    policy: RetrainingPolicy,
) -> RestoreDecision:
    try:
        ours = pricer.log_error(champion, sales)
    except CannotPriceError as error:
        return RestoreDecision(Action.NONE, f"not compared: {error}", None)
    message, contest = "it has no previous version", None
    if previous is not None:
        try:
            contest = compare(ours, pricer.log_error(previous, sales), sales.hour)
        except CannotPriceError as error:
            message = f"its previous version was not compared: {error}"
        else:
            message = _comparison_text(contest, f"the previous {previous.model_version}")
            if contest.is_won(policy):
                return RestoreDecision(Action.ROLLED_BACK, message, contest)
    if not trained_again or champion.tier not in LOWER:
        return RestoreDecision(Action.NONE, message, contest)
    usable = np.isfinite(sales.med_5_log)
    simple = np.abs(sales.target_log - sales.med_5_log)[usable]
    against = compare(ours[usable], simple, sales.hour[usable])
    if against.n < policy.contest_sales or against.z < policy.distrust_z:
        return RestoreDecision(Action.NONE, message, contest)
    lower = replace(
        champion,
        tier=LOWER[Tier(champion.tier)],
        local_sha=None,
        weight=0.0,
        numbers=against.numbers(),
        version=0,
    )
    try:
        below = compare(ours, pricer.log_error(lower, sales), sales.hour)
    except CannotPriceError as error:
        return RestoreDecision(Action.NONE, f"{message}; the tier below was not compared: {error}", against)
    if below.gain < 0:
        lost = _comparison_text(against, "it")
        message = f"loses against the median of five ({lost}), but {lower.tier} is worse still"
        return RestoreDecision(Action.NONE, message, against)
    message = f"trained again and still worse: {_comparison_text(against, 'the median of five')}"
    return RestoreDecision(Action.FELL_BACK, message, against, lower)


def _comparison_text(contest: Contest, rival: str) -> str:
    return (
        f"mean |log error| {contest.champion:.4f} against {contest.rival:.4f} of {rival} on {contest.n} sales "
        f"that neither has seen (z {contest.z:.1f})"
    )


def _trained_again(con: duckdb.DuckDBPyConnection) -> set[str]:
    return {
        row[0]
        for row in con.execute(f"select collection from {QUEUE} where last_trained is not null").fetchall()
    }
