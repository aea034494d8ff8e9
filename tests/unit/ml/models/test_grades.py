"""One letter per estimate, none without an interval, in homes made earlier too."""

import duckdb
import numpy as np

from ml.models.grades import GRADE_EDGES, grade_sql
from ml.models.tables import create_tables

HALF = np.array([0.0, 0.149, *GRADE_EDGES, 0.599, 5.0, np.nan])


def test_the_letter_falls_as_the_interval_widens() -> None:
    found = duckdb.execute(
        f"select {grade_sql('h')} from (select unnest($1) as h)", [[*HALF.tolist(), None]]
    ).fetchall()
    assert [row[0] for row in found] == ["A", "A", "B", "C", "D", "C", "D", None, None]


def test_tables_of_an_earlier_home_get_the_column_and_keep_their_rows() -> None:
    con = duckdb.connect()
    con.execute("create schema predictions")
    con.execute("create table predictions.token_estimates (collection varchar, token_id varchar)")
    con.execute("insert into predictions.token_estimates values ('c', '1')")
    for _ in range(2):
        create_tables(con, ["predictions.token_estimates"])
    assert con.execute("select token_id, grade from predictions.token_estimates").fetchall() == [("1", None)]
