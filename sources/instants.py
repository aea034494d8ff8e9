"""Times as people write them → moments in UTC, as SQL over a column.

Here: text of any usual format, Unix times, dates, zones. Not here: what a time is used for (`sources.files.times`).

A time without a zone is UTC. An offset (`+02:00`), `Z`, `UTC` and `GMT` are understood; other names of zones are not:
EST is the name of two zones, and DuckDB would carry a zone named in one row over to the rows after it. A value is never
cast to `timestamptz` here for that reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from sources.values import cleaned, connect, is_text

_FAST = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?( ?Z| UTC)?"
_ISO = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]+\d{1,2}:\d{2}(:\d{2}([.,]\d{1,9})?)?)?"
# 1.64123e+09 has lost its last digits; a double in full has not.
_NUMBER = r"\d{9,19}(\.\d*)?|\d\.\d{9,}[eE]\+?\d{1,2}"
_COMPACT = r"(19|20)\d{6}"
# The offset of a zone stands after a time of day only: -03 in 2022-01-03 is a day.
_ZONE = r"(:\d{2}(?:[.,]\d+)?|\d ?[APap][Mm])\s*(Z|z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})(?: UTC| GMT)?$"
_DAY_ZONE = r"(\d)\s+(?:UTC|GMT)$"
_TWO_DATES = r"(\d{1,2})[/-](\d{1,2})[/-](\d{4}|\d{2})( .*)?"
_DOTTED = r"\d{1,2}\.\d{1,2}\.\d{4}( .*)?"
_FORMATS = [
    f"{day}{time}"
    for day in (
        "%b-%d-%Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%d %b %Y", "%d %B %Y",
        "%a, %d %b %Y", "%a %b %d %Y", "%Y%m%d",
    )
    for time in (
        "", " %H:%M:%S", " %I:%M:%S %p", " %H:%M", " %I:%M %p", ", %H:%M:%S", ", %I:%M %p", "T%H%M%S", "T%H%M%SZ",
    )
]  # fmt: skip
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", " %H:%M:%S.%g")


_BODY = f"regexp_replace(regexp_replace(x, '{_ZONE}', '\\1'), '{_DAY_ZONE}', '\\1')"
_OFFSET = f"nullif(regexp_extract(x, '{_ZONE}', 2), '')"
_MINUTES = """case when zone[1] in ('+', '-') then
    (case when zone[1] = '-' then -1 else 1 end)
    * (zone[2:3]::integer * 60 + coalesce(try_cast(regexp_extract(zone, '(\\d{2})$', 1) as integer), 0)
        * (length(zone) > 3)::integer) end"""
_DAY_ONLY = f"""(not contains(x, ':') and not regexp_full_match(x, '{_NUMBER}')
    and not regexp_full_match(x, '.*T\\d{{4,6}}Z?')) or regexp_full_match(x, '{_COMPACT}')"""


def _formats(days: list[str]) -> str:
    return "[" + ", ".join(f"'{d}{c}'" for d in days for c in _CLOCKS) + "]"


@dataclass(frozen=True)
class ReadTimes:
    """A column of times, read.

    Attributes:
        moments: UTC, naive, in microseconds; null where there is no time, or none that is certain.
        is_day: Whether a value names a day and no time of day; its instant is then the day's first.
        is_zoned: Whether a value says its zone; the others count as UTC.
    """

    moments: pa.ChunkedArray
    is_day: pa.ChunkedArray
    is_zoned: pa.ChunkedArray


def read_times(column: pa.ChunkedArray) -> ReadTimes:
    """Read a column of text, numbers, dates or timestamps.

    Dates that can be two (04/01/2022) are decided by the whole column: one value that can only be day first, or month
    first, decides for all; without one they are not read.
    """
    con = connect()
    try:
        con.register("given", pa.table({"x": column}))
        if is_text(column.type):
            # Most texts are of the one usual form: only the others are taken apart.
            usual = f"(case when not regexp_full_match(x, '{_FAST}') then x end)"
            cells = cleaned("given", {"rest": usual}, beside="x as raw")
            con.execute(
                f"create temp table parts as select raw, rest as x, {_BODY} as body, {_OFFSET} as zone from ({cells})"
            )
            query = f"""select {_written(_day_first(con))} as t, coalesce({_DAY_ONLY}, false) as d,
                case when x is null then ends_with(raw, 'Z') or ends_with(raw, 'UTC')
                    else zone is not null or regexp_full_match(x, '{_NUMBER}') end as z from parts"""
        else:
            dated = "true" if pa.types.is_date(column.type) else _compact_number(column.type)
            zoned = (
                pa.types.is_integer(column.type)
                or pa.types.is_floating(column.type)
                or _has_zone(column.type)
            )
            query = f"""select {moment("x", column.type)} as t, coalesce({dated}, false) as d,
                {str(zoned).lower()} as z from given"""
        read = con.execute(query).to_arrow_table()
    finally:
        con.close()
    return ReadTimes(
        read.column("t").cast(pa.timestamp("us")),
        read.column("d"),
        read.column("z").fill_null(fill_value=False),
    )


def _has_zone(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(dtype) and dtype.tz is not None)


def _compact_number(dtype: pa.DataType) -> str:
    return "x between 19000101 and 20991231" if pa.types.is_integer(dtype) else "false"


def _day_first(con: duckdb.DuckDBPyConnection) -> bool | None:
    """Whether 04/01/2022 is the fourth of January in this column; None when nothing, or both, decides."""
    row = con.execute(
        f"""select coalesce(bool_or(regexp_extract(body, '{_TWO_DATES}', 1)::integer > 12), false),
            coalesce(bool_or(regexp_extract(body, '{_TWO_DATES}', 2)::integer > 12), false)
        from parts where regexp_full_match(body, '{_TWO_DATES}')"""
    ).fetchone()
    assert row is not None
    first, second = row
    return None if first == second else bool(first)


def _written(day_first: bool | None) -> str:
    """SQL of the instant a text names, from `raw`, `x` (cleaned), `body` (without its zone) and `zone`."""
    formats = "[" + ", ".join(f"'{f}'" for f in _FORMATS) + "]"
    slashed = "null::timestamp"
    if day_first is not None:
        days = ["%d/%m/%Y", "%d/%m/%y"] if day_first else ["%m/%d/%Y", "%m/%d/%y"]
        slashed = f"try_strptime(regexp_replace(body, '^(\\d+)-(\\d+)-', '\\1/\\2/'), {_formats(days)})"
    return f"""case
        when x is null then case when regexp_full_match(raw, '{_FAST}')
            then try_cast(rtrim(raw, ' ZUTC') as timestamp) end
        when regexp_full_match(x, '{_COMPACT}') then try_strptime(x, '%Y%m%d')
        when regexp_full_match(x, '{_NUMBER}') then {unix_time("try_cast(x as double)")}
        else case
            when regexp_full_match(body, '{_ISO}')
                then try_cast(replace(regexp_replace(body, '^(\\d+)[/.](\\d+)[/.]', '\\1-\\2-'), ',', '.') as timestamp)
            when regexp_full_match(body, '{_DOTTED}') then try_strptime(body, {_formats(["%d.%m.%Y"])})
            when regexp_full_match(body, '{_TWO_DATES}') then {slashed}
            when regexp_full_match(body, '.*\\d.*') then try_strptime(body, {formats})
        end - to_minutes(coalesce({_MINUTES}, 0))
    end"""


def moment(source: str, dtype: pa.DataType) -> str:
    """SQL of the instant (UTC, naive) that a value of an Arrow type that is no text names; null when it names none."""
    if pa.types.is_timestamp(dtype):
        return f"{source} at time zone 'UTC'" if dtype.tz is not None else f"try_cast({source} as timestamp)"
    if pa.types.is_integer(dtype):
        compact = f"{source} between 19000101 and 20991231"
        return (
            f"case when {compact} then try_strptime({source}::varchar, '%Y%m%d') else {unix_time(source)} end"
        )
    if pa.types.is_floating(dtype):
        return unix_time(source)
    return f"try_cast({source} as timestamp)"


def unix_time(number: str) -> str:
    """SQL of an instant from Unix time in s, ms, us or ns: 1e11 s is the year 5138, 1e11 ms is 1973."""
    micros = (
        f"case when abs({number}) >= 1e17 then {number} / 1000 when abs({number}) >= 1e14 then {number}"
        f" when abs({number}) >= 1e11 then {number} * 1000 else {number}::double * 1000000 end"
    )
    return f"try(make_timestamp(({micros})::bigint))"
