"""The clocks of a file's rows, read a whole column at a time.

Here: event time, how uncertain it is, and when a row became known. Not here: reading one column of times
(`sources.instants`). Three things are decided by the whole column: which number of 04/01/2022 is the day, whether only
days are known (every value is a midnight), and whether a day and a time of day stand in two columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import TIMESTAMP
from sources.files.aliases import UNCERTAINTY_S
from sources.files.plan import Plan
from sources.instants import ReadTimes, read_times
from sources.values import is_text, quote, quote_name

_HALF_DAY_S = "43200.0"
# A time without seconds may be any second of its minute, and times that were rounded any of the one before.
_MINUTE_S = "60.0"
_HOUR_S = "3600.0"
_HOUR = r"^\s*(\d{1,2})(\.0)?\s*$"


@dataclass(frozen=True)
class Clocks:
    """Columns to be put beside a file's rows, and the SQL that makes the contract's clocks of them.

    Attributes:
        added: Name → column.
        sql: Contract column → SQL over the file's columns and `added`.
        originals: Contract column → column as it was delivered.
        notes: What was decided about the column, for people.
    """

    added: dict[str, pa.ChunkedArray]
    sql: dict[str, str]
    originals: dict[str, str]
    notes: tuple[str, ...] = ()


def clocks_of(plan: Plan, rows: pa.Table, zone: str | None) -> Clocks:
    """The clocks of the rows of a file.

    Args:
        plan: What its columns are.
        rows: The file's rows.
        zone: Zone of times that name none; None: UTC.
    """
    added: dict[str, pa.ChunkedArray] = {}
    sql: dict[str, str] = {}
    originals: dict[str, str] = {}
    notes: list[str] = []
    for role in ("known_at", "valid_until"):
        if role in plan.columns:
            added[f"_read_{role}"] = _in_zone(read_times(rows.column(plan.columns[role])), zone).moments
            sql[role], originals[role] = f"_read_{role}", plan.columns[role]
    if "event_time" not in plan.columns:
        return Clocks(added, sql, originals)
    column, whole, least = _delivered(plan, rows)
    read = _in_zone(read_times(column), zone)
    notes += [f"{plan.columns['event_time']}: {read.note}"] if read.note else []
    added |= {"_read_event": read.moments, "_read_day": read.is_day, "_given_event": column}
    originals["event_time"] = "_given_event"
    if plan.table == "exchange_rates":
        return Clocks(added, sql | _rate_clocks(plan), originals)
    states_width = "precision" in plan.columns or "time_uncertainty_s" in plan.columns
    if whole and not states_width and _all_midnights(read.moments):
        added["_read_day"] = pc.is_valid(read.moments)
        if not pc.all(read.is_day).as_py():
            notes.append(f"every {plan.columns['event_time']} is a midnight: taken as days")
    width = _width(plan, rows, least or (_MINUTE_S if read.to_minute else "0.0"))
    sql |= {
        "event_time": "case when _read_day then _read_event + interval 12 hour else _read_event end",
        "time_uncertainty_s": width,
    }
    over = f"to_microseconds((try_cast({width} as double) * 1e6)::bigint)"
    event = f"({sql['event_time']})"
    arrival = f"try({event} + {over})"
    # Without an arrival time a row is known once its event is over.
    given = f"case when _w_known_at is null then {arrival} else _read_known_at end"
    sql["known_at"] = given if "known_at" in sql else arrival
    return Clocks(added, sql, originals, tuple(notes))


def _delivered(plan: Plan, rows: pa.Table) -> tuple[pa.ChunkedArray, bool, str]:
    """The column of event times (of day and time of day, where they are two), whether it is one column, and its width.

    The width is in seconds, and empty where the times themselves show it.
    """
    column = rows.column(plan.columns["event_time"])
    if "time_of_day" not in plan.columns:
        return column, True, ""
    day, time = (_as_text(rows.column(plan.columns[role])) for role in ("date", "time_of_day"))
    known = pc.count(time).as_py()
    least = ""
    if known and pc.all(pc.match_substring_regex(time, _HOUR)).as_py():
        time, least = pc.replace_substring_regex(time, _HOUR, r"\1:00"), _HOUR_S
    elif not pc.any(pc.match_substring_regex(time, r"^\s*\d{1,2}:"), min_count=0).as_py():
        # It is no time of a day but the whole time, or nothing.
        return (rows.column(plan.columns["time_of_day"]) if known else day), True, ""
    joined = pc.binary_join_element_wise(day, time, " ", null_handling="emit_null")
    return pc.coalesce(joined, day), False, least


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if is_text(column.type) else column.cast(pa.string())


def _in_zone(read: ReadTimes, zone: str | None) -> ReadTimes:
    """The same times, those without a zone taken to be in `zone`; an hour that clocks show twice is its first."""
    if zone is None:
        return read
    placed = pc.assume_timezone(read.moments, zone, ambiguous="earliest", nonexistent="latest")
    shifted = placed.cast(pa.timestamp("us", "UTC")).cast(TIMESTAMP)
    keep = pc.or_(read.is_zoned, read.is_day)
    return replace(read, moments=pc.if_else(keep, read.moments, shifted))


def _all_midnights(moments: pa.ChunkedArray) -> bool:
    known = moments.drop_null()
    return len(known) > 0 and bool(pc.all(pc.equal(known, pc.floor_temporal(known, unit="day"))).as_py())


def _width(plan: Plan, rows: pa.Table, least: str) -> str:
    """SQL (text) of the half-width in seconds; an unknown word is handed on, and validation says what was found."""
    if "time_uncertainty_s" in plan.columns:
        return f"{quote_name(plan.columns['time_uncertainty_s'])}::varchar"
    if "precision" not in plan.columns:
        return f"case when _read_day then '{_HALF_DAY_S}' else '{least}' end"
    word = quote_name(plan.columns["precision"])
    words = ", ".join(f"{quote(k)}: '{v}'" for k, v in UNCERTAINTY_S.items())
    stated = f"coalesce(map {{{words}}}[lower({word})], {word}, '0.0')" if rows.num_rows else "'0.0'"
    return f"case when _read_day then '{_HALF_DAY_S}' else {stated} end"


def _rate_clocks(plan: Plan) -> dict[str, str]:
    """A rate is the close of its day or hour: known when that is over."""
    grain = (
        "case when bool_and(_read_event = date_trunc('day', _read_event)) over () then 'day' else 'hour' end"
    )
    if "granularity" in plan.columns:
        grain = f"coalesce({quote_name(plan.columns['granularity'])}, {grain})"
    known = f"_read_event + case when {grain} = 'day' then interval 1 day else interval 1 hour end"
    if "known_at" in plan.columns:
        known = f"case when _w_known_at is null then {known} else _read_known_at end"
    return {"event_time": "_read_event", "known_at": known, "granularity": grain}
