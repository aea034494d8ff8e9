"""Every drill: its fault, when passes happen, what must detect it, what must be done about it, when it must be over.

Here: the one table of data, thresholds and expectations. Not here: carrying it out
(`orchestration.reliability.drills.run`) or judging it (`orchestration.reliability.drills.timeline`). Days are counted
from the fault's first day: the pass of day 1 is the one at the midnight that ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestration.reliability.drills.market import SEED, SEED_OF_MANIA


@dataclass(frozen=True)
class Action:
    """Something that the system, or a person with the runbook, must have done.

    Attributes:
        words: What was done; {n} is the number found.
        sql: One number over the lake; may use `$since` (start of the fault) and `$as_of`.
        at_least: The number that proves it.
        by_day: The pass by which it must be done.
    """

    words: str
    sql: str
    at_least: float
    by_day: int


@dataclass(frozen=True)
class Drill:
    """One drill.

    Attributes:
        name: The fault's, or its own.
        shows: What it shows, in a sentence.
        passes: Days at whose end a pass happens.
        fault: `name:magnitude` of the simulator; None for a market without a fault.
        arrives_day: The first pass that can see data of the fault.
        detected_by: Incidents, at least one of which that pass must open.
        also_noticed: Other incidents with the same cause that may open, by the beginning of their keys; any
            other is a false alarm.
        outlasts: Those of them that may be open at the end: they cover more days than the drill.
        actions: What must be done.
        replay: Columns that a person renames when replaying the quarantine after the detecting pass; empty: no replay.
        endpoint_down: Whether the alert endpoint is down for an hour from the detecting pass on, and the first
            deliverer that reaches it afterwards is killed before it can record that.
        watch_only: No fault: nothing may page.
        loses_home: No fault of the market: the home is backed up, destroyed and restored on another path.
        seed: Of the market it starts from.
    """

    name: str
    shows: str
    passes: tuple[int, ...]
    fault: str | None = None
    arrives_day: int = 1
    detected_by: tuple[str, ...] = ()
    also_noticed: tuple[str, ...] = ()
    outlasts: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    replay: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    endpoint_down: bool = False
    watch_only: bool = False
    loses_home: bool = False
    seed: int = SEED


_VOLUME = tuple(
    f"check/raw_{table}/{table}_volume" for table in ("sales", "transfers", "listings", "exchange_rates")
)
_ARRIVALS = tuple(f"slo/{table}_arrive" for table in ("sales", "transfers", "listings", "exchange_rates"))
# Prices that move show in each of these, sooner or later.
_LASTING = (
    "model/",
    "drift/",
    "check/drift_scores/drift_is_not_widespread",
    "slo/online_mdape",
    "slo/online_error_beats_median",
    "slo/interval_coverage",
    "check/token_estimates/intervals_keep_their_promise",
    "check/fct_sales/prices_against_the_recent_median",
)
"""These cover a week or more, or many sales."""

_ERRORS = (
    *_LASTING,
    "slo/prices_plausible",
    "slo/sales_near_estimates",
    "slo/trait_values_hold",
    "check/token_estimates/estimates_follow_the_last_ones",
)
_ARRIVED_AFTER_ALL = (
    "select count(*) from marts.fct_sales"
    " where event_time >= $since and known_at - event_time > interval {hours} hour"
)
_HELD_BACK_ENTERED = Action(
    "{n:.0f} held-back sales entered the marts", _ARRIVED_AFTER_ALL.format(hours=2), at_least=10, by_day=2
)

DRILLS: tuple[Drill, ...] = (
    Drill(
        "late_data",
        "60 % of a day's rows come two days late: late is noticed, and nothing is missing in the end.",
        passes=(1, 3, 4),
        fault="late_data",
        arrives_day=3,
        detected_by=("slo/sales_in_time",),
        also_noticed=_VOLUME,
        actions=(
            Action(
                "{n:.0f} late sales entered the marts",
                _ARRIVED_AFTER_ALL.format(hours=40),
                5,
                3,
            ),
        ),
    ),
    Drill(
        "duplicates",
        "30 % of a day's sales come twice: counted once, and the source is named.",
        passes=(1, 2),
        fault="duplicates",
        detected_by=("slo/duplicate_rate",),
        also_noticed=_VOLUME,
        actions=(
            Action(
                "{n:.0f} repeated sales excluded",
                "select count(*) from intermediate.int_sales_classified"
                " where exclusion_reason = 'duplicate' and event_time >= $since",
                3,
                1,
            ),
        ),
    ),
    Drill(
        "schema_break",
        "A day's sales come with a column renamed: all wait in quarantine, and a replay restores every one.",
        passes=(1, 2),
        fault="schema_break",
        detected_by=("slo/schema_valid",),
        also_noticed=("slo/quarantine_rate", "slo/sales_arrive", *_VOLUME),
        actions=(
            Action(
                "{n:.0f} sales came back from quarantine",
                "select count(*) from raw.quarantine where status = 'replayed' and known_at >= $since",
                10,
                2,
            ),
        ),
        replay=MappingProxyType({"amount": "price_native"}),
    ),
    Drill(
        "outage",
        "Nothing arrives for a day, everything right after it.",
        passes=(1, 2),
        fault="outage",
        detected_by=("slo/sales_arrive",),
        also_noticed=(*_ARRIVALS, "slo/sales_in_time", *_VOLUME),
        actions=(_HELD_BACK_ENTERED,),
    ),
    Drill(
        "crash",
        "Every price halves in a day: the estimates are far from the sales, and follow them.",
        passes=(1, 8, 15),
        fault="crash",
        detected_by=("slo/sales_near_estimates", "check/token_estimates/estimates_follow_the_last_ones"),
        also_noticed=_ERRORS,
        outlasts=_LASTING,
        actions=(
            Action(
                "the estimates fell by {n:.0%} (median over tokens)",
                """
                with history as (
                    select collection, token_id, as_of, estimate_eth from predictions.estimate_history
                ),
                before as (
                    select collection, token_id, arg_max(estimate_eth, as_of) as eth from history
                    where as_of <= $since group by all
                ),
                after as (
                    select collection, token_id, arg_max(estimate_eth, as_of) as eth from history
                    where as_of > $since group by all
                )
                select median(1 - a.eth / b.eth) from after a join before b using (collection, token_id)
                """,
                0.25,
                8,
            ),
        ),
    ),
    Drill(
        "trait_mania",
        "One trait value in a third of the collections becomes dear: its estimates follow.",
        # Dear tokens sell rarely, and at first at earlier asks: in five days three are sold.
        passes=(5, 9, 13),
        fault="trait_mania",
        arrives_day=5,
        seed=SEED_OF_MANIA,
        detected_by=("slo/trait_values_hold",),
        also_noticed=_ERRORS,
        # Estimates four days old are off as a whole, too; that is of the pauses, not of the fault.
        outlasts=(*_LASTING, "slo/sales_near_estimates"),
    ),
    Drill(
        "wash_storm",
        "Wash trades in a tenth of the collections: seen, and kept out of every estimate.",
        passes=(1, 4),
        fault="wash_storm",
        detected_by=("check/fct_sales/wash_trades_as_usual",),
        also_noticed=(*_VOLUME, *_ERRORS),
        actions=(
            Action(
                "{n:.0f} wash trades kept out of the index and the models",
                "select count(*) filter (where is_wash and not is_arms_length) from marts.fct_sales"
                " where event_time >= $since",
                10,
                1,
            ),
        ),
    ),
    Drill(
        "wrong_currency",
        "A third of a day's prices come in wei or labelled USDC: impossible ones are refused, odd ones marked.",
        passes=(1, 2),
        fault="wrong_currency",
        detected_by=("slo/quarantine_rate", "slo/prices_plausible"),
        also_noticed=_ERRORS,
        outlasts=_LASTING,
        actions=(
            Action(
                "{n:.0f} impossible prices refused",
                "select count(*) from raw.quarantine where reason = 'impossible_price' and known_at >= $since",
                2,
                1,
            ),
            Action(
                "{n:.0f} mislabelled prices kept out of the index",
                "select count(*) from marts.fct_sales where is_low_outlier and event_time >= $since",
                2,
                1,
            ),
        ),
    ),
    Drill(
        "reorg",
        "The day's last sales are superseded by another block: replaced, not counted twice.",
        passes=(1, 2),
        fault="reorg:0.2",
        detected_by=("slo/sales_final",),
        also_noticed=_VOLUME,
        actions=(
            Action(
                "{n:.0f} superseded sales excluded",
                "select count(*) from intermediate.int_sales_classified"
                " where exclusion_reason = 'superseded' and event_time >= $since",
                3,
                1,
            ),
        ),
    ),
    Drill(
        "alert_endpoint_down",
        "The endpoint of alerts is down for an hour, then a deliverer is killed between sending and recording.",
        passes=(1, 2),
        fault="outage",
        detected_by=("slo/sales_arrive",),
        also_noticed=(*_ARRIVALS, "slo/sales_in_time", *_VOLUME),
        actions=(_HELD_BACK_ENTERED,),
        endpoint_down=True,
    ),
    Drill(
        "lost_home",
        "The home is destroyed and restored from its backup on another path: every table is the same.",
        passes=(),
        loses_home=True,
    ),
    Drill(
        "quiet_month",
        "Nothing is wrong for thirty days: nothing pages.",
        # Every day: estimates that are days old err more, and the system rightly alerts.
        passes=tuple(range(1, 31)),
        outlasts=_LASTING,
        watch_only=True,
    ),
)


def drill_of(name: str) -> Drill:
    """The drill of a name.

    Raises:
        HomeError: there is none; names what comes close.
    """
    import difflib

    from orchestration.errors import HomeError

    for drill in DRILLS:
        if drill.name == name:
            return drill
    names = [drill.name for drill in DRILLS]
    close = difflib.get_close_matches(name, names, n=2)
    hint = f"did you mean {' or '.join(close)}?" if close else f"expected one of {', '.join(names)}"
    raise HomeError(f"there is no drill {name!r}; {hint}")
