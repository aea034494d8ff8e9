"""Checks of what is published: schema, keys, movement against the last values, floors, and interval coverage."""

from __future__ import annotations

import math

from ml.tables.predictions import TOKEN_ESTIMATES
from orchestration.checks.definition import EXAMPLES, Check, CheckContext, Finding, no_rows
from orchestration.checks.schema import rows_meet
from orchestration.states import CheckSeverity

# A change by more than this (either way) is a jump; the check fails above this share of jumps.
JUMP = 0.5
MAX_JUMPING_SHARE = 0.10
MIN_COMPARED = 200
# A share is known well enough from this many tokens, drawn by hash: always the same ones.
SAMPLED_TOKENS = 500_000
# Coverage of the 80 % interval outside this band, beyond chance, fails the check.
PROMISED = (0.75, 0.88)
MIN_SALES = 200
# Tokens valued this far below the lowest live ask are below the floor; more of them than this share fails the check.
BELOW_FLOOR = 0.9
MAX_SHARE_BELOW_FLOOR = 0.05
# The lowest of fewer asks can be far above the cheapest token.
MANY_ASKS = 10
# Why tokens are below the floor; only the last one is an error of ours.
FEW_ASKS = "few asks: the lowest of them is above the cheapest tokens"
SALES_BELOW = "the last sales are below the lowest ask, too"
VALUES_LOW = "the values are low: neither asks nor sales explain it"
_Z = 3.29  # two-sided 0.1 %: the check runs hourly


def estimates_moved(context: CheckContext) -> Finding:
    """Tokens valued in the newest scoring (one day of `as_of`) against their value before it."""
    sql = """
        with newest as (select max(as_of) - interval 1 day as start from predictions.token_estimates),
        fresh as materialized (
            select collection, hash(collection, token_id) as token, estimate_eth from predictions.token_estimates
            where estimate_eth is not null and as_of > (select start from newest)
                and hash(collection, token_id) % $one_in::ubigint = 0
        ),
        before as materialized (
            select hash(collection, token_id) as token, arg_max(estimate_eth, as_of) as estimate_eth
            from predictions.estimate_history
            where as_of <= (select start from newest) and as_of > (select start - interval 30 day from newest)
                and hash(collection, token_id) % $one_in::ubigint = 0
            group by token
        )
        select collection, count(*) as tokens,
            count(*) filter (where abs(f.estimate_eth / l.estimate_eth - 1) > $jump) as jumped,
            median(f.estimate_eth / l.estimate_eth) as median_ratio
        from fresh f join before l using (token)
        group by collection order by jumped desc, collection
    """
    valued = context.con.execute("select count(*) from predictions.token_estimates").fetchone() or (0,)
    one_in = max(1, valued[0] // SAMPLED_TOKENS)
    moved = context.con.execute(sql, {"jump": JUMP, "one_in": one_in}).df()
    tokens, jumped = int(moved["tokens"].sum()), int(moved["jumped"].sum())
    if tokens < MIN_COMPARED:
        return Finding(
            True, {"tokens_compared": tokens}, note=f"fewer than {MIN_COMPARED} tokens valued before"
        )
    share = jumped / tokens
    rows = moved[moved["jumped"] > 0].head(EXAMPLES)
    numbers = {"share_jumped": share, "limit": MAX_JUMPING_SHARE, "tokens_compared": tokens}
    return Finding(share <= MAX_JUMPING_SHARE, numbers, rows)


def intervals_covered(context: CheckContext) -> Finding:
    """Coverage of the frozen 80 % intervals over 30 days: fails when even chance cannot bring it into the band."""
    row = context.con.execute(
        """
        select avg((price_eth between lower_eth and upper_eth)::integer), count(*)
        from monitoring.estimate_ledger
        where is_arms_length and lower_eth is not null
            and event_time >= $as_of::timestamp - interval 30 day and event_time < $as_of
        """,
        {"as_of": context.as_of},
    ).fetchone()
    covered, sales = row or (None, 0)
    if sales < MIN_SALES:
        return Finding(True, {"sales": sales}, note=f"{sales} sales, fewer than {MIN_SALES}: not judged")
    margin = _Z * math.sqrt(covered * (1 - covered) / sales)
    passed = covered + margin >= PROMISED[0] and covered - margin <= PROMISED[1]
    return Finding(passed, {"coverage": covered, "margin": margin, "sales": sales})


def values_above_floor(context: CheckContext) -> Finding:
    """Tokens valued below the lowest live ask of their collection, and why; fails if only values can be wrong."""
    found = context.con.execute(
        """
        with recent as (
            select collection, arg_max(med_5, seq) as med_5 from marts.fct_collection_state
            where known_at < $as_of group by collection
        )
        select e.collection, count(*) as tokens,
            count(*) filter (where e.estimate_eth < $below * e.lowest_ask_eth) as below_floor,
            any_value(e.lowest_ask_eth) as lowest_ask_eth, any_value(e.lowest_ask_at) as lowest_ask_at,
            any_value(e.live_asks) as live_asks, any_value(r.med_5) as median_of_last_5_sales_eth,
            case
                when any_value(e.live_asks) < $many then $few_asks
                when any_value(r.med_5) < any_value(e.lowest_ask_eth) then $sales_below
                else $values_low
            end as reason
        from predictions.token_estimates as e
        left join recent as r on e.collection = r.collection
        where e.estimate_eth is not null and e.lowest_ask_eth is not null
        group by e.collection
        order by reason = $values_low desc, below_floor desc, e.collection
        """,
        {
            "as_of": context.as_of,
            "below": BELOW_FLOOR,
            "many": MANY_ASKS,
            "few_asks": FEW_ASKS,
            "sales_below": SALES_BELOW,
            "values_low": VALUES_LOW,
        },
    ).df()
    tokens, below = int(found["tokens"].sum()), int(found["below_floor"].sum())
    if not tokens:
        return Finding(True, {"tokens_compared": 0}, note="no live ask is known: nothing to compare")
    unexplained = found[found["reason"] == VALUES_LOW]
    share = int(unexplained["below_floor"].sum()) / tokens
    rows = found[found["below_floor"] > 0].head(EXAMPLES)
    counted = found[found["below_floor"] > 0].groupby("reason")["below_floor"].sum()
    note = "; ".join(f"{n:,} tokens below the floor: {reason}" for reason, n in counted.items())
    numbers = {
        "share_below_floor": below / tokens,
        "share_unexplained": share,
        "limit": MAX_SHARE_BELOW_FLOOR,
        "tokens_compared": tokens,
    }
    return Finding(share <= MAX_SHARE_BELOW_FLOOR, numbers, rows, note=note)


def estimate_history_is_unique(context: CheckContext) -> Finding:
    """No key twice in the newest history. Rows are grouped only when a count of hashes shows duplicates."""
    recent = (
        "from predictions.estimate_history where as_of >"
        " (select max(as_of) - interval 1 day from predictions.estimate_history)"
    )
    keys = "collection, token_id, as_of, model_version, prior_version"
    suspects = context.con.execute(f"select count(*) - count(distinct hash({keys})) {recent}").fetchone()
    if not suspects or not suspects[0]:
        return Finding(True, {"offending_rows": 0})
    return no_rows(f"select {keys}, count(*) as times {recent} group by {keys} having times > 1")(context)


def every_token_has_a_row(context: CheckContext) -> Finding:
    """Completeness and sanity of the published table, set-wise."""
    row = context.con.execute(
        """
        select
            (select count(*) from marts.dim_tokens) as tokens,
            count(*) as rows_found,
            count(*) - count(distinct (collection, token_id)) as duplicates,
            count(*) filter (where (estimate_eth is null) = (no_value_reason is null)) as unexplained,
            count(*) filter (
                where not (0 < lower_90_eth and lower_90_eth <= lower_80_eth and lower_80_eth <= estimate_eth
                    and estimate_eth <= upper_80_eth and upper_80_eth <= upper_90_eth)
            ) as disordered
        from predictions.token_estimates
        """
    ).fetchone()
    assert row is not None
    found = dict(
        zip(("tokens", "rows", "duplicates", "unexplained", "disordered"), map(int, row), strict=True)
    )
    passed = found["tokens"] == found["rows"] and not (
        found["duplicates"] or found["unexplained"] or found["disordered"]
    )
    return Finding(passed, found)


PREDICTIONS = (
    Check(
        name="every_token_has_an_estimate_or_a_reason",
        asset="token_estimates",
        description="Exactly one row per token; a value with ordered, positive bounds, or a reason.",
        measure=every_token_has_a_row,
        severity=CheckSeverity.ERROR,
        blocking=True,
        runbook="no-value",
    ),
    Check(
        name="estimates_meet_the_schema",
        asset="token_estimates",
        description="Keys, tier and `as_of` are there; values are believable prices.",
        measure=rows_meet(TOKEN_ESTIMATES),
        severity=CheckSeverity.ERROR,
        blocking=True,
        runbook="rows-contradict",
    ),
    Check(
        name="history_is_unique",
        asset="token_estimates",
        description="A token has one value per `as_of` and model in the history (its newest day).",
        measure=estimate_history_is_unique,
        severity=CheckSeverity.ERROR,
        runbook="rows-contradict",
    ),
    Check(
        name="estimates_follow_the_last_ones",
        asset="token_estimates",
        description="At most one in ten tokens valued again differs by more than 50 % from its last published value.",
        measure=estimates_moved,
        runbook="estimates-moved",
    ),
    Check(
        name="values_are_above_the_floor",
        asset="token_estimates",
        description="At most one in twenty tokens is valued more than 10 % below the lowest live ask of its collection "
        "although there are at least ten asks and the last sales are not below it.",
        measure=values_above_floor,
        runbook="values-below-floor",
    ),
    Check(
        name="intervals_keep_their_promise",
        asset="token_estimates",
        description="The 80 % intervals frozen before the sales of the last 30 days contained 75 % to 88 % of the "
        "prices, beyond chance.",
        measure=intervals_covered,
        runbook="intervals-off",
    ),
)
