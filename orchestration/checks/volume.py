"""Rows of a day, compared with the same weekday before.

Here: the expectation. Not here: whether rows came at all in time (the SLOs of arrival).

The expectation of a day is the median of the same weekday over the eight weeks before, or of the four weeks before
while there are fewer than four such days. The spread is the median absolute deviation of the logs over four weeks,
not less than what chance alone gives (1/√expected) nor 15 %: medians, so that one odd day does not change them.
"""

from __future__ import annotations

from orchestration.checks.definition import CheckContext, Finding, Measure

# With fewer expected rows a day is not judged.
MIN_EXPECTED = 20
# Robust standard deviations from the expectation, and the least factor that matters.
MAX_DEVIATIONS = 4.0
MIN_FACTOR = 2.0

# A launch mints thousands of tokens in an hour: that is news, not a fault of the source.
_ORDINARY = {
    "sales": "sale_type is distinct from 'primary'",
    "transfers": "coalesce(ltrim(from_address, '0x'), '') <> ''",
}

_SQL = """
with accepted as (
    select cast(known_at as date) as day, count(*) as rows from raw.{table}
    where known_at < cast($as_of as date) and known_at >= cast($as_of as date) - 57 and {ordinary}
    group by day
),
days as (
    select l.day, coalesce(any_value(t.rows), 0) + sum(l.quarantined) as rows
    from ops.ingest_log l left join accepted t using (day)
    where l.table_name = '{table}' and not ends_with(l.fingerprint, ' unfinished')
        and l.day < cast($as_of as date) and l.day >= cast($as_of as date) - 57
    group by l.day
),
judged as (select day, rows from days where day = cast($as_of as date) - 1),
before as (select d.* from days d, judged j where d.day < j.day),
weekday as (
    select median(b.rows) as expected, count(*) as n from before b, judged j where isodow(b.day) = isodow(j.day)
),
month as (
    select median(b.rows) as expected, mad(ln(1 + b.rows)) as deviation, count(*) as n
    from before b, judged j where b.day >= j.day - 28
)
select j.day, j.rows, case when w.n >= 4 then w.expected else m.expected end as expected, m.deviation, m.n
from judged j, weekday w, month m
"""


def volume_as_expected(table: str) -> Measure:
    """The newest whole day has about as many rows (accepted and refused, mints left out) as its weekday usually has."""
    query = _SQL.format(table=table, ordinary=_ORDINARY.get(table, "true"))

    def measure(context: CheckContext) -> Finding:
        import math

        row = context.con.execute(query, {"as_of": context.as_of}).fetchone()
        if row is None or row[4] < 14:
            return Finding(True, note="fewer than 14 days before the newest whole day: not judged")
        day, found, expected, deviation, _ = row
        if expected < MIN_EXPECTED:
            return Finding(
                True, {"rows": int(found)}, note=f"{expected:g} rows expected, fewer than {MIN_EXPECTED}"
            )
        spread = max(1.4826 * deviation, 1 / math.sqrt(expected), 0.15)
        factor = max(math.exp(MAX_DEVIATIONS * spread), MIN_FACTOR)
        numbers = {
            "day": str(day),
            "rows": int(found),
            "expected": float(expected),
            "least_expected": expected / factor,
            "most_expected": expected * factor,
        }
        return Finding(expected / factor <= found <= expected * factor, numbers)

    return measure
