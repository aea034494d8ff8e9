"""Which features are outdated.

What is here: the collections to compute again, and the note that they were. What is not:
computing them (`ml.features.build`), and the tables (``ml.features.tables``).

The concept. The index keeps a hash of each collection's sales and traits. Next to the features is the hash they
were computed from (`features.feature_state`): where the two differ, the collection is computed again, and where the
feature schema differs, everything is.
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from ml.features.schema import fingerprint

#: A collection without a new sale is seen anew after this many days: its time since the last sale has grown.
STALE_DAYS = 7


def forget_other_schema(con: duckdb.DuckDBPyConnection, spine: str) -> None:
    """Empty the table of one spine if it was filled under another feature schema.

    Other columns are seen when the lake is opened; a feature can also change its meaning and keep its name.
    """
    stored = con.execute(
        "select count(*) from features.feature_state where spine = ? and fingerprint != ?",
        [spine, fingerprint()],
    ).fetchone()
    if stored and stored[0]:
        con.execute(f"delete from features.{spine}_features")
        con.execute("delete from features.feature_state where spine = ?", [spine])


def plan_changed(con: duckdb.DuckDBPyConnection, spine: str, everything: bool = False) -> None:
    """Leave ``feature_changed``: collections to compute, and whether their old rows can be kept."""
    con.execute(
        """
        create or replace temp table feature_changed as
        with state as (
            select * from features.feature_state where spine = $spine
        )
        select
            index_state.collection,
            coalesce(state.traits_hash = index_state.traits_hash, false) as same_rules
        from features.index_state
        left join state using (collection)
        where $everything
            or state.sales_hash is distinct from index_state.sales_hash
            or state.traits_hash is distinct from index_state.traits_hash
        """,
        {"spine": spine, "everything": everything},
    )


def plan_stale(con: duckdb.DuckDBPyConnection, as_of: datetime) -> None:
    """Add to ``feature_changed`` the quiet collections that were last seen too long ago."""
    con.execute(
        f"""
        insert into feature_changed
        select token_features.collection, true
        from features.token_features
        inner join marts.dim_collections using (collection)
        where token_features.collection not in (select collection from feature_changed)
        group by token_features.collection, covered_until
        having max(as_of) < least($as_of::timestamp, coalesce(covered_until, $as_of::timestamp))
            - interval {STALE_DAYS} day
        """,
        {"as_of": as_of},
    )


def remember(con: duckdb.DuckDBPyConnection, spine: str) -> None:
    """Note that the collections of ``feature_changed`` were computed; forget those that the index has no more."""
    con.execute(
        """
        delete from features.feature_state
        where spine = $spine and (
            collection in (select collection from feature_changed)
            or collection not in (select collection from features.index_state)
        )
        """,
        {"spine": spine},
    )
    con.execute(
        """
        insert into features.feature_state
        select $spine, collection, sales_hash, traits_hash, $fingerprint
        from features.index_state
        where collection in (select collection from feature_changed)
        """,
        {"spine": spine, "fingerprint": fingerprint()},
    )
