"""Checks of portfolios: nothing is lost, nothing is held below zero, and no gain is invented."""

from __future__ import annotations

from orchestration.checks.definition import Check, CheckContext, Finding, no_rows
from orchestration.states import CheckSeverity

MOST_WITHOUT_COST = 0.75
"""Above this share of what wallets got in the last 30 days, mints aside, the source lacks prices or transfers."""

_CONSERVED = """
with acquired as (
    select wallet, collection, token_id, sum(quantity) as units from marts.fct_acquisitions group by all
),
given as (select wallet, collection, token_id, sum(quantity) as units from marts.fct_disposals group by all),
held as (select wallet, collection, token_id, sum(quantity) as units from marts.fct_wallet_positions group by all)
select wallet, collection, token_id, a.units as acquired, g.units as given_away, h.units as held
from acquired as a
full join given as g using (wallet, collection, token_id)
full join held as h using (wallet, collection, token_id)
where coalesce(a.units, 0) <> coalesce(g.units, 0) + coalesce(h.units, 0)
"""

_OWN_PAST = """
select wallet, as_of, value_eth, lower_80_eth, upper_80_eth from predictions.wallet_valuations
where as_of > $as_of or value_eth < 0 or tokens_valued > tokens or tokens_with_cost > tokens
    or not (lower_80_eth <= upper_80_eth)
"""

_HELD = """
select wallet as holder, collection, token_id, quantity, cost_wei from marts.fct_wallet_positions
where quantity < 1 or cost_wei < 0
union all
select owner, collection, token_id, quantity, cost_wei from predictions.wallet_positions
where quantity < 1 or cost_wei < 0
"""

_INVENTED = """
with gains as (
    select disposal_id, acquisition_id, gain_wei, basis_status, no_gain_reason from marts.fct_realized_gains
    union all
    select disposal_id, acquisition_id, gain_wei, basis_status, no_gain_reason from predictions.realized_gains
)
select * from gains
where (gain_wei is null) = (no_gain_reason is null) or gain_wei is not null and basis_status = 'unknown'
"""


def costs_known(context: CheckContext) -> Finding:
    """Share of what wallets got in the last 30 days, mints aside, whose cost is unknown, by reason."""
    found = context.con.execute(
        """
        select coalesce(unknown_basis_reason, '') as reason, count(*) as acquisitions from marts.fct_acquisitions
        where acquired_at >= $as_of::timestamp - interval 30 day and acquired_at < $as_of and kind <> 'minted'
        group by reason order by acquisitions desc
        """,
        {"as_of": context.as_of},
    ).df()
    total = int(found["acquisitions"].sum())
    if not total:
        return Finding(True, {"acquisitions": 0}, note="nothing was acquired in the last 30 days: not judged")
    unknown = found[found["reason"] != ""]
    share = int(unknown["acquisitions"].sum()) / total
    numbers = {"share_unknown": share, "limit": MOST_WITHOUT_COST, "acquisitions": total}
    return Finding(share <= MOST_WITHOUT_COST, numbers, unknown)


PORTFOLIO = (
    Check(
        name="units_are_conserved",
        asset="wallet_valuations",
        description="What a wallet acquired of a token is what it gave away and what it holds.",
        measure=no_rows(_CONSERVED),
        severity=CheckSeverity.ERROR,
        runbook="rows-contradict",
    ),
    Check(
        name="valuations_are_of_their_own_past",
        asset="wallet_valuations",
        description="No valuation is for a time after now; values, bounds and counts do not contradict each other.",
        measure=no_rows(_OWN_PAST),
        severity=CheckSeverity.ERROR,
        runbook="rows-contradict",
    ),
    Check(
        name="no_holding_is_negative",
        asset="wallet_positions",
        description="Positions of wallets and owners have at least one unit and no negative cost.",
        measure=no_rows(_HELD),
        severity=CheckSeverity.ERROR,
        runbook="rows-contradict",
    ),
    Check(
        name="no_gain_is_invented",
        asset="realized_gains",
        description="A gain is null exactly where a reason is given; it is never computed from an unknown cost.",
        measure=no_rows(_INVENTED),
        severity=CheckSeverity.ERROR,
        runbook="rows-contradict",
    ),
    Check(
        name="costs_are_known",
        asset="realized_gains",
        description="At most three in four tokens that wallets got in the last 30 days, mints aside, have no cost.",
        measure=costs_known,
        runbook="costs-unknown",
    ),
)
