"""The collections of each source, and which collection of the home each is.

Here: reading and keeping the keys (`ops.collection_keys`), and renaming rows when two turn out to be one. Not here: the
rule (`sources.collection_keys`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from sources.collection_keys import CollectionKey, decide
from sources.contract import RAW_TABLES
from sources.contracts import SHARED_CONTRACTS, SharedContract, shared_contracts_table, wrappers_table

if TYPE_CHECKING:
    import duckdb

TABLES = tuple(name for name, table in RAW_TABLES.items() if "collection" in table.names)
"""Raw tables whose rows belong to a collection."""

KEY_COLUMNS = ("delivered_by", "chain", "given", "contract", "project", "collection")


def learn_keys(
    con: duckdb.DuckDBPyConnection,
    delivered_by: str,
    incoming: Mapping[str, pa.Table],
    shared: Iterable[SharedContract] = (),
) -> dict[tuple[str, str], str]:
    """Decide which collections of the home the rows of a source belong to, in the caller's transaction.

    Rows of the home are renamed when these rows show that two of its collections are one.

    Args:
        con: A write connection of the lake.
        delivered_by: The source's name.
        incoming: Raw table → its new rows.
        shared: Shared contracts beside the known ones.

    Returns:
        (chain, key in the source) → key in the home, where the two differ.
    """
    stored = _stored(con)
    position = {(key.delivered_by, key.chain, key.given): n for n, key in enumerate(stored)}
    keys = list(stored)
    for chain, given, contract, project in _seen(con, incoming, [*shared, *SHARED_CONTRACTS]):
        key = CollectionKey(delivered_by, chain, given, contract, project)
        known = position.get((delivered_by, chain, given))
        if known is None:
            position[delivered_by, chain, given] = len(keys)
            keys.append(key)
        elif keys[known].contract is None and contract is not None:
            old = keys[known]
            keys[known] = CollectionKey(delivered_by, chain, given, contract, project, old.collection)
    if keys != stored:
        decided = decide(keys)
        _rename(con, stored, decided)
        _keep(con, decided)
        keys = decided
    return _other_names(keys, delivered_by)


def known_keys(con: duckdb.DuckDBPyConnection, delivered_by: str) -> dict[tuple[str, str], str]:
    """What `learn_keys` returned last for a source, read from the lake."""
    return _other_names(_stored(con), delivered_by)


def _other_names(keys: Iterable[CollectionKey], delivered_by: str) -> dict[tuple[str, str], str]:
    return {
        (key.chain, key.given): str(key.collection)
        for key in keys
        if key.delivered_by == delivered_by and key.collection != key.given
    }


def _stored(con: duckdb.DuckDBPyConnection) -> list[CollectionKey]:
    rows = con.execute(
        f"select {', '.join(KEY_COLUMNS)} from ops.collection_keys order by position"
    ).fetchall()
    return [CollectionKey(*row) for row in rows]


def _seen(
    con: duckdb.DuckDBPyConnection, incoming: Mapping[str, pa.Table], shared: list[SharedContract]
) -> list[tuple[str, str, str | None, str | None]]:
    """(chain, key in the source, contract, project) of every collection among the rows, the first known first."""
    if not any(rows.num_rows for rows in incoming.values()):
        return []
    con.register("shared_contracts", shared_contracts_table(shared))
    con.register("wrappers", wrappers_table())
    parts = []
    for table, rows in incoming.items():
        con.register(f"new_{table}", rows)
        token = "token_id" if "token_id" in RAW_TABLES[table].names else "null::varchar"
        parts.append(
            f"select chain, collection as given, lower(contract) as contract, min({token}) as token_id,"
            f" min(known_at) as known_at from new_{table} group by all"
        )
    try:
        return con.execute(
            f"""
            with seen as ({" union all ".join(parts)}),
            placed as (
                select seen.* exclude (contract), coalesce(wrappers.holds, seen.contract) as contract
                from seen left join wrappers using (chain, contract)
            ),
            stated as (
                select placed.chain, given, known_at, placed.contract,
                    case shared_contracts.distinguished_by
                        when 'name' then given
                        when 'project' then (try_cast(token_id as hugeint) // size)::varchar
                    end as project,
                    distinguished_by is null as is_own
                from placed left join shared_contracts using (chain, contract)
            )
            -- of a shared contract only rows that say which project they are of count
            select chain, given,
                arg_min(contract, (known_at, contract)) filter (where is_own or project is not null) as contract,
                arg_min(project, (known_at, contract)) filter (where project is not null) as project
            from stated group by chain, given order by min(known_at), chain, given
            """
        ).fetchall()
    finally:
        for name in ("shared_contracts", "wrappers", *(f"new_{table}" for table in incoming)):
            con.unregister(name)


def _rename(con: duckdb.DuckDBPyConnection, before: list[CollectionKey], after: list[CollectionKey]) -> None:
    """Rows of the home whose collection has another key now."""
    for old, new in zip(before, after, strict=False):
        if old.collection == new.collection:
            continue
        for table in TABLES:
            con.execute(
                f"update raw.{table} set collection = $new"
                " where delivered_by = $delivered_by and chain = $chain and collection = $old",
                {
                    "new": new.collection,
                    "old": old.collection,
                    "chain": old.chain,
                    "delivered_by": old.delivered_by,
                },
            )


def _keep(con: duckdb.DuckDBPyConnection, keys: list[CollectionKey]) -> None:
    columns = {name: pa.array([getattr(key, name) for key in keys], pa.string()) for name in KEY_COLUMNS}
    con.register("decided_keys", pa.table({**columns, "position": pa.array(range(len(keys)), pa.int64())}))
    con.execute("delete from ops.collection_keys")
    con.execute("insert into ops.collection_keys by name select * from decided_keys")
    con.unregister("decided_keys")
