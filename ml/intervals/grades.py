"""A letter for how sure an estimate is: A to D from the width of its 80 % interval.

Here: the thresholds and the letter. Not here: the interval (`ml.intervals.calibration`), or what each letter's error
was measured to be (the accuracy report).

Concept: the letter contains no information beyond the interval; it is for people who read one character. Widths are
relative, because a price is known to a factor and not to an amount: a half-width h in log units means that eight of
ten prices lie between estimate / e^h and estimate · e^h. Each threshold doubles the one before, and so did the
measured median error of the grades on the earlier 60 % of the real sales (5, 11, 22 and 46 %, ADR 13).
"""

from __future__ import annotations

GRADES = ("A", "B", "C", "D")

GRADE_EDGES = (0.15, 0.30, 0.60)
"""Half-widths of the 80 % interval in log units at which the next grade begins: about ±16 %, ±35 % and ±82 %."""


def grade_sql(half_80: str) -> str:
    """The letter as a DuckDB expression, null without an interval.

    Args:
        half_80: Half-width of the 80 % interval in log units, a column or expression.
    """
    cases = [
        f"when {half_80} < {edge} then '{grade}'" for edge, grade in zip(GRADE_EDGES, GRADES, strict=False)
    ]
    return (
        f"case when {half_80} is null or isnan({half_80}) then null {' '.join(cases)} else '{GRADES[-1]}' end"
    )
