"""One transaction on a DuckDB connection: committed when the block ends, rolled back when it raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Run the block in a transaction.

    Args:
        con: A connection in autocommit mode.
    """
    con.execute("begin")
    try:
        yield
    except BaseException:
        # DuckDB may have ended the transaction already, or closed the connection: the first error is the one to raise.
        with suppress(duckdb.Error):
            con.execute("rollback")
        raise
    con.execute("commit")
