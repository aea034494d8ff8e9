"""Times as people write them → instants in UTC, as SQL over a column.

Here: text of any usual format, Unix times, dates, zones. Not here: what a time is used for (`sources.files.times`).

A time without a zone is UTC. An offset (`+02:00`), `Z`, `UTC` and `GMT` are understood; other names of zones are not:
EST is the name of two zones, and DuckDB would carry a zone named in one row over to the rows after it. A value is never
cast to `timestamptz` here for that reason.
"""

from __future__ import annotations

import pyarrow as pa

from sources.values import word

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
    for time in ("", " %H:%M:%S", " %I:%M:%S %p", " %H:%M", " %I:%M %p", ", %H:%M:%S", ", %I:%M %p", "T%H%M%S", "T%H%M%SZ")
]  # fmt: skip
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", " %H:%M:%S.%g")


def _formats(days: list[str]) -> str:
    return "[" + ", ".join(f"'{d}{c}'" for d in days for c in _CLOCKS) + "]"


def two_dates(source: str) -> tuple[str, str]:
    """SQL of the two numbers of a date such as 04/01/2022, null for other texts."""
    clean = word(source)
    parts = [
        f"case when regexp_full_match({clean}, '{_TWO_DATES}')"
        f" then try_cast(regexp_extract({clean}, '{_TWO_DATES}', {i}) as integer) end"
        for i in (1, 2)
    ]
    return parts[0], parts[1]


def is_day(source: str) -> str:
    """SQL: whether a text names a day without a time of day."""
    clean = word(source)
    return (
        f"coalesce(not contains({clean}, ':') and not regexp_full_match({clean}, '{_NUMBER}')"
        f" and not regexp_full_match({clean}, '.*T\\d{{4,6}}Z?'), false) or coalesce("
        f"regexp_full_match({clean}, '{_COMPACT}'), false)"
    )


def text_instant(source: str, day_first: bool | None = None) -> str:
    """SQL of the instant that a text names; null when it names none, or could name two.

    Args:
        source: SQL of the text.
        day_first: Whether 04/01/2022 is the fourth of January; None: it cannot be told.
    """
    clean = word(source)
    body = f"regexp_replace(regexp_replace({clean}, '{_ZONE}', '\\1'), '{_DAY_ZONE}', '\\1')"
    zone = f"nullif(regexp_extract({clean}, '{_ZONE}', 2), '')"
    iso = f"try_cast(replace(replace(replace({body}, '/', '-'), ',', '.'), '.', '.') as timestamp)"
    iso_dots = f"regexp_full_match({body}, '\\d{{4}}\\.\\d.*')"
    formats = "[" + ", ".join(f"'{f}'" for f in _FORMATS) + "]"
    dotted = f"try_strptime({body}, {_formats(['%d.%m.%Y'])})"
    slashed = "null::timestamp"
    if day_first is not None:
        days = ["%d/%m/%Y", "%d/%m/%y"] if day_first else ["%m/%d/%Y", "%m/%d/%y"]
        slashed = f"try_strptime(replace(split_part({body}, ' ', 1), '-', '/') || substr({body}, length(split_part({body}, ' ', 1)) + 1), {_formats(days)})"  # noqa: E501
    digits = f"regexp_replace({zone}, '[^0-9]', '', 'g')"
    minutes = f"""case when starts_with({zone}, '+') or starts_with({zone}, '-') then
        (case when starts_with({zone}, '-') then -1 else 1 end)
        * (left({digits}, 2)::integer * 60 + coalesce(try_cast(substr({digits}, 3, 2) as integer), 0)) else 0 end"""
    local = f"""case
        when {iso_dots} then try_cast(regexp_replace({body}, '^(\\d{{4}})\\.(\\d+)\\.', '\\1-\\2-') as timestamp)
        when regexp_full_match({body}, '{_ISO}') then {iso}
        when regexp_full_match({body}, '{_DOTTED}') then {dotted}
        when regexp_full_match({body}, '{_TWO_DATES}') then {slashed}
        else try_strptime({body}, {formats})
    end"""
    return f"""case
        when regexp_full_match({source}, '{_FAST}') then try_cast(rtrim({source}, ' ZUTC') as timestamp)
        when {clean} is null then null
        when regexp_full_match({clean}, '{_COMPACT}') then try_strptime({clean}, '%Y%m%d')
        when regexp_full_match({clean}, '{_NUMBER}') then {unix_time(f"try_cast({clean} as double)")}
        else {local} - to_minutes({minutes})
    end"""


def instant(source: str, dtype: pa.DataType, day_first: bool | None = None) -> str:
    """SQL of the instant (UTC, naive) that a value of an Arrow type names; null when it cannot be read."""
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        return text_instant(source, day_first)
    if pa.types.is_timestamp(dtype):
        return f"{source} at time zone 'UTC'" if dtype.tz is not None else f"try_cast({source} as timestamp)"
    if pa.types.is_integer(dtype):
        compact = f"{source} between 19000101 and 20991231"
        return f"case when {compact} then try_strptime({source}::varchar, '%Y%m%d') else {unix_time(source)} end"
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
