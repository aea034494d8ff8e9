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
_COMPACT_TIME = r"(19|20)\d{12}"
_HEX_TIME = r"0[xX][0-9a-fA-F]{8}"
# Days since 1899-12-30, as spreadsheets keep times: 1982 to 2064, which Unix seconds would place in one day of 1970.
_SERIAL = r"[3-5]\d{4}(\.\d+)?"
# What browsers add to a time in words: GMT+0000 (Coordinated Universal Time).
_WORDS = r"\s*\([A-Za-z ]+\)$"
_NO_SECONDS = r"[^:]*\d:\d{2}( ?[APap][Mm])?( ?(Z|UTC|GMT|[+-]\d{2}:?\d{2}))?"
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
        "", " %H:%M:%S", " %I:%M:%S %p", " %H:%M", " %I:%M %p", ", %H:%M:%S", ", %I:%M:%S %p", ", %H:%M", ", %I:%M %p",
        "T%H%M%S", "T%H%M%SZ",
    )
] + ["%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S UTC %Y", "%a %b %d %H:%M:%S GMT %Y"]  # fmt: skip
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", " %H:%M:%S.%g")


_BARE = f"regexp_replace(regexp_replace(rest, '{_WORDS}', ''), '(GMT|UTC)([+-]\\d)', '\\2')"
_BODY = f"regexp_replace(regexp_replace(rest, '{_ZONE}', '\\1'), '{_DAY_ZONE}', '\\1')"
_OFFSET = f"nullif(regexp_extract(rest, '{_ZONE}', 2), '')"
_MINUTES = """case when zone[1] in ('+', '-') then
    (case when zone[1] = '-' then -1 else 1 end)
    * (zone[2:3]::integer * 60 + coalesce(try_cast(regexp_extract(zone, '(\\d{2})$', 1) as integer), 0)
        * (length(zone) > 3)::integer) end"""
_WITH_TIME = rf"{_NUMBER}|.*T\d{{4,6}}Z?|{_COMPACT_TIME}|{_HEX_TIME}|[3-5]\d{{4}}\.\d+"
_DAY_ONLY = f"""(not contains(x, ':') and not regexp_full_match(x, '{_WITH_TIME}'))
    or regexp_full_match(x, '{_COMPACT}')"""


def _formats(days: list[str]) -> str:
    return "[" + ", ".join(f"'{d}{c}'" for d in days for c in _CLOCKS) + "]"


@dataclass(frozen=True)
class ReadTimes:
    """A column of times, read.

    Attributes:
        moments: UTC, naive, in microseconds; null where there is no time, or none that is certain.
        is_day: Whether a value names a day and no time of day; its instant is then the day's first.
        is_zoned: Whether a value says its zone; the others count as UTC.
        to_minute: Whether no value of the column names a second.
        note: What was decided about the whole column, for people.
    """

    moments: pa.ChunkedArray
    is_day: pa.ChunkedArray
    is_zoned: pa.ChunkedArray
    to_minute: bool = False
    note: str = ""


def read_times(column: pa.ChunkedArray) -> ReadTimes:
    """Read a column of text, numbers, dates or timestamps.

    Dates that can be two (04/01/2022) are decided by the whole column: one value that can only be day first, or month
    first, decides for all; without one they are not read.
    """
    con = connect()
    to_minute, serial = False, False
    try:
        con.register("given", pa.table({"x": column}))
        if is_text(column.type):
            # Most texts are of the one usual form: only the others are taken apart.
            usual = f"(case when not regexp_full_match(x, '{_FAST}') then x end)"
            cells = cleaned("given", {"rest": usual}, beside="x as raw")
            con.execute(
                f"create temp table parts as select raw, rest as x, {_BODY} as body, {_OFFSET} as zone"
                f" from (select raw, {_BARE} as rest, rest as x from ({cells}))"
            )
            to_minute, serial = _of_whole_column(con)
            query = f"""select {_written(_day_first(con), serial=serial)} as t, coalesce({_DAY_ONLY}, false) as d,
                case when x is null then ends_with(raw, 'Z') or ends_with(raw, 'UTC')
                    else zone is not null or regexp_full_match(x, '{_NUMBER}|{_HEX_TIME}') end as z from parts"""
        else:
            dated = "true" if pa.types.is_date(column.type) else _compact_number(column.type)
            zoned = (
                pa.types.is_integer(column.type)
                or pa.types.is_floating(column.type)
                or _has_zone(column.type)
            )
            serial = _is_serial(con, column.type)
            value = _SERIAL_TIME if serial else moment("x", column.type)
            query = f"""select {value} as t, coalesce({dated}, false) as d,
                {str(zoned).lower()} as z from given"""
        read = con.execute(query).to_arrow_table()
    finally:
        con.close()
    return ReadTimes(
        read.column("t").cast(pa.timestamp("us")),
        read.column("d"),
        read.column("z").fill_null(fill_value=False),
        to_minute,
        "numbers are days since 1899-12-30, as spreadsheets keep them" if serial else "",
    )


def _of_whole_column(con: duckdb.DuckDBPyConnection) -> tuple[bool, bool]:
    """Whether no text names a second, and whether all are a spreadsheet's numbers of days."""
    row = con.execute(
        f"""select bool_and(regexp_full_match(x, '{_NO_SECONDS}')), bool_and(regexp_full_match(x, '{_SERIAL}')),
            count(*) filter (x is null and raw is not null)
        from parts"""
    ).fetchone()
    assert row is not None
    if row[2]:
        usual = con.execute(
            f"select bool_or(regexp_full_match(raw, '{_FAST}')) from parts where x is null"
        ).fetchone()
        if usual is not None and usual[0]:
            return False, False
    return bool(row[0]), bool(row[1])


_SERIAL_TIME = "timestamp '1899-12-30' + to_microseconds(round(x::double * 86400)::bigint * 1000000)"


def _is_serial(con: duckdb.DuckDBPyConnection, dtype: pa.DataType) -> bool:
    """Whether all numbers are a spreadsheet's numbers of days."""
    if not (pa.types.is_integer(dtype) or pa.types.is_floating(dtype)):
        return False
    row = con.execute("select coalesce(bool_and(x >= 30000 and x < 60000), false) from given").fetchone()
    return row is not None and bool(row[0])


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


def _written(day_first: bool | None, *, serial: bool) -> str:
    """SQL of the instant a text names, from `raw`, `x` (cleaned), `body` (without its zone) and `zone`."""
    formats = "[" + ", ".join(f"'{f}'" for f in _FORMATS) + "]"
    slashed = "null::timestamp"
    if day_first is not None:
        order = "%d/%m/" if day_first else "%m/%d/"
        written = "regexp_replace(body, '^(\\d+)-(\\d+)-', '\\1/\\2/')"
        slashed = f"""case when regexp_full_match(body, '[^ ]*[/-]\\d{{4}}( .*)?')
            then try_strptime({written}, {_formats([order + "%Y"])})
            else try_strptime({written}, {_formats([order + "%y"])}) end"""
    spreadsheet = f"when regexp_full_match(x, '{_SERIAL}') then {_SERIAL_TIME}" if serial else ""
    return f"""case
        when x is null then case when regexp_full_match(raw, '{_FAST}')
            then try_cast(rtrim(raw, ' ZUTC') as timestamp) end
        when regexp_full_match(x, '{_COMPACT}') then try_strptime(x, '%Y%m%d')
        when regexp_full_match(x, '{_COMPACT_TIME}') then try_strptime(x, '%Y%m%d%H%M%S')
        when regexp_full_match(x, '{_HEX_TIME}') then {unix_time("try_cast(x as bigint)")}
        {spreadsheet}
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
