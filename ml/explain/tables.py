"""Writing explanations.

Here: predictions.explanations and predictions.comparables. Not here: their columns
(`ml.tables.predictions`), or what is in them (`ml.explain.components`,
`ml.explain.comparables`).

Concept: explanations are derived and can be made again at any time, so a collection's rows are replaced as a whole and
no history is kept.
"""

from __future__ import annotations

import duckdb

from ml.explain.explain import Explanations
from ml.tables.predictions import COMPARABLES, EXPLANATIONS
from ml.tables.writing import append


def write_explanations(con: duckdb.DuckDBPyConnection, explained: Explanations) -> tuple[int, int]:
    """Replace a collection's rows in both tables, in the caller's transaction; returns the rows written."""
    for table, rows in ((EXPLANATIONS, explained.components), (COMPARABLES, explained.comparables)):
        con.execute(f"delete from {table.name} where collection = $1", [explained.collection])
        append(con, table.name, rows)
    return explained.components.num_rows, explained.comparables.num_rows
