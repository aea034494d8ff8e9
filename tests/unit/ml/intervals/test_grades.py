"""One letter per estimate, none without an interval."""

import duckdb
import numpy as np

from ml.intervals.grades import GRADE_EDGES, grade_sql

HALF = np.array([0.0, 0.149, *GRADE_EDGES, 0.599, 5.0, np.nan])


def test_the_letter_falls_as_the_interval_widens() -> None:
    found = duckdb.execute(
        f"select {grade_sql('h')} from (select unnest($1) as h)", [[*HALF.tolist(), None]]
    ).fetchall()
    assert [row[0] for row in found] == ["A", "A", "B", "C", "D", "C", "D", None, None]
