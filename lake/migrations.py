"""Migrate the lake of an earlier version to this one: numbered small steps, then the tables as declared.

Here: the version of a lake, the steps, and what is done with tables that differ from their declaration. Not here: when
a lake is checked and migrated (`lake.connection`).

Concept: `ops.lake_version` has one row: the number of the last step that was taken and a hash of all declared tables.
Each step is one transaction that also writes its number, so after a kill between two steps the next opening continues.
A change that needs no decision has no step: a missing table or column is added (null in the rows written before), and
a derived table with other columns is dropped, made empty and computed again. A change that would lose data or needs a
decision has a step; without one the lake is refused.

To change a table: change its declaration. To rename, convert or drop a column of a table that is not derived, add a
step at the end of `STEPS`; a step must also do nothing on a lake that lacks what it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import duckdb

from lake.errors import LakeVersionError
from lake.tables import Column, Table, create_missing, fingerprint, relations, stored_columns
from lake.transaction import transaction

VERSION = Table(
    "ops.lake_version",
    "One row: how far this lake was migrated.",
    (),
    "as a whole, by each step",
    (
        Column("version", "bigint", "Number of the last step taken (lake/migrations.py)"),
        Column("tables", "varchar", "Hash of the tables as declared; differs when a declaration changed"),
        Column("changed_at", "timestamp", "When the row was written, wall clock"),
    ),
)


def rebuild_command(home: Path) -> str:
    """How to rebuild a home that cannot be opened."""
    return (
        f"move it aside and run again with the same source, `mv {quote(str(home))} {quote(f'{home}.old')} && assay run "
        f"--home {quote(str(home))}` (with a PostgreSQL catalog, with an empty database): everything in a home "
        "is made again from the source"
    )


@dataclass(frozen=True)
class Step:
    """One step forward.

    Attributes:
        version: Its number: 1, 2, …, each one more than the one before.
        what: What it changes and why, in a sentence.
        apply: The change, on a connection inside a transaction.
    """

    version: int
    what: str
    apply: Callable[[duckdb.DuckDBPyConnection], None]


def drop_columns(table: str, *names: str) -> Callable[[duckdb.DuckDBPyConnection], None]:
    """A change that drops columns where they exist."""

    def apply(con: duckdb.DuckDBPyConnection) -> None:
        present = stored_columns(con).get(table, {})
        for name in names:
            if name in present:
                con.execute(f'alter table {table} drop column "{name}"')

    return apply


def rename_column(table: str, old: str, new: str) -> Callable[[duckdb.DuckDBPyConnection], None]:
    """A change that renames a column where it exists."""

    def apply(con: duckdb.DuckDBPyConnection) -> None:
        present = stored_columns(con).get(table, {})
        if old in present and new not in present:
            con.execute(f'alter table {table} rename column "{old}" to "{new}"')

    return apply


_RAW_TABLES = (
    "sales",
    "transfers",
    "listings",
    "token_traits",
    "exchange_rates",
    "collections",
    "quarantine",
)
_ID_BEFORE = "md5(concat_ws('|', chain, tx_hash, log_index, sub_index))"
_ID_NOW = (
    "md5(concat_ws('|', chain, tx_hash, log_index, sub_index, collection, token_id,"
    " case when starts_with(tx_hash, 'row:') then delivered_by end))"
)


def _several_sources(con: duckdb.DuckDBPyConnection) -> None:
    """Give rows the source that delivered them, and sales their new identifiers."""
    present = stored_columns(con)
    if "raw.sales" not in present or "delivered_by" in present["raw.sales"]:
        return
    # A home had one source.
    row = con.execute("select any_value(source) from ops.ingest_log").fetchone()
    for table in (f"raw.{name}" for name in _RAW_TABLES):
        if table in present:
            con.execute(f"alter table {table} add column delivered_by varchar")
            con.execute(f"update {table} set delivered_by = $source", {"source": row[0] if row else None})
    con.execute(
        f"create temp table new_sale_ids as select distinct {_ID_BEFORE} as old_id, {_ID_NOW} as new_id, collection,"
        " token_id from raw.sales"
    )
    for table, columns in present.items():
        schema = table.partition(".")[0]
        if "sale_id" not in columns or schema not in ("predictions", "monitoring"):
            continue
        same = [c for c in ("collection", "token_id") if c in columns]
        # Two tokens under one old identifier cannot be distinguished where a table does not name the token.
        con.execute(
            f"update {table} as t set sale_id = n.new_id from (select old_id, any_value(new_id) as new_id"
            f"{''.join(f', {c}' for c in same)} from new_sale_ids group by old_id{''.join(f', {c}' for c in same)}"
            f" having count(distinct new_id) = 1) as n where t.sale_id = n.old_id"
            + "".join(f" and t.{c} = n.{c}" for c in same)
        )
    con.execute("drop table new_sale_ids")
    # The marts are built again as a whole.
    if "ops.mart_watermark" in present:
        con.execute("delete from ops.mart_watermark")


STEPS: tuple[Step, ...] = (
    Step(
        1,
        "A width per collection did not lower the error of intervals: champions have none.",
        drop_columns("ops.champions", "width_factor"),
    ),
    Step(
        2,
        "The effect of rarity belongs to a market and no longer to one version of its prior.",
        drop_columns("ops.rarity_effect", "prior_version"),
    ),
    Step(
        3,
        "The time until which sources cover a collection is called covered_until, no longer told_until: renamed, "
        "because a mart with other columns than declared is emptied, and then all marts are built again.",
        rename_column("marts.dim_collections", "told_until", "covered_until"),
    ),
    Step(
        4,
        "A home can have several sources: each raw row names the one that delivered it, and the identifier of a sale "
        "has its collection and token in it.",
        _several_sources,
    ),
    Step(
        5,
        "What was called the floor was a percentile of old sales: the floor is now the lowest live ask, its proxy is "
        "moved to the time of the estimate, and both are computed again with every estimate.",
        drop_columns("predictions.token_estimates", "floor_eth"),
    ),
)


def is_current(
    con: duckdb.DuckDBPyConnection, tables: Sequence[Table], home: Path, steps: Sequence[Step] = STEPS
) -> bool:
    """Whether this lake needs no migration: one query of one row.

    Raises:
        LakeVersionError: The lake was written by a newer version.
    """
    stored = _stored_version(con)
    if stored is None:
        return False
    version, tables_hash = stored
    if version > len(steps):
        raise LakeVersionError(
            f"Expected a lake of version {len(steps)} or earlier; found version {version}, which a newer Assay has "
            f"written. Install that version again, or {rebuild_command(home)}."
        )
    return version == len(steps) and tables_hash == fingerprint(tables)


def migrate(
    con: duckdb.DuckDBPyConnection, tables: Sequence[Table], home: Path, steps: Sequence[Step] = STEPS
) -> None:
    """Bring the lake to this version, one transaction per step; a step that was done is skipped.

    Args:
        con: A writable connection outside a transaction, under the write lock.
        tables: All tables as declared.
        home: The home, for messages.
        steps: The steps, in order.

    Raises:
        LakeVersionError: The lake is newer, or a table differs in a way that no step explains.
    """
    if is_current(con, tables, home, steps):
        return
    stored = _stored_version(con)
    is_new = stored is None and not relations(con)
    with transaction(con):
        create_missing(con, [VERSION])
    done = len(steps) if is_new else stored[0] if stored else 0
    for step in steps[done:]:
        with transaction(con):
            step.apply(con)
            _write_version(con, step.version, "")
    with transaction(con):
        _follow_declarations(con, tables, home)
        _write_version(con, len(steps), fingerprint(tables))


def _follow_declarations(con: duckdb.DuckDBPyConnection, tables: Sequence[Table], home: Path) -> None:
    present = stored_columns(con)
    emptied: set[str] = set()
    for table in tables:
        found = present.get(table.name)
        if found is None:
            continue
        declared = {column.name: column.type for column in table.columns}
        if table.derived:
            if list(found.items()) != list(declared.items()):
                con.execute(f"drop table {table.name}")
                emptied.update(name for name in table.state if name in present)
            continue
        _refuse_other_types(table, found, home)
        for name, kind in declared.items():
            if name not in found:
                con.execute(f'alter table {table.name} add column "{name}" {kind}')
    for name in sorted(emptied):
        con.execute(f"delete from {name}")
    create_missing(con, tables)


def _refuse_other_types(table: Table, found: dict[str, str], home: Path) -> None:
    for column in table.columns:
        kind = found.get(column.name, column.type)
        if kind != column.type:
            raise LakeVersionError(
                f"Expected column {column.name} of {table.name} to be {column.type}; found {kind}, and no step of this "
                f"version explains it, so this home cannot be migrated. To rebuild it, {rebuild_command(home)}."
            )


def _stored_version(con: duckdb.DuckDBPyConnection) -> tuple[int, str] | None:
    """(version, hash of the tables); None in a lake that was made before versions were kept, or is new."""
    try:
        row = con.execute(f"select version, tables from {VERSION.name}").fetchone()
    except duckdb.CatalogException:
        return None
    return None if row is None else (int(row[0]), str(row[1]))


def _write_version(con: duckdb.DuckDBPyConnection, version: int, tables_hash: str) -> None:
    con.execute(f"delete from {VERSION.name}")
    con.execute(
        f"insert into {VERSION.name} values ($1, $2, now() at time zone 'UTC')", [version, tables_hash]
    )
