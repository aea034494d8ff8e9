"""Tables that are made from other tables of the lake, against these: marts, estimates, the published store.

Here: which rows must be equal. Not here: the counts by source and reason, which the build of the marts reconciles
(`marts.sales_reconciliation`, `marts.moves_reconciliation`: what they found is taken over).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from lake.diff import at_snapshot, compare
from lake.errors import LakeError
from lake.storage import quoted
from orchestration.reconciliation.findings import Comparison, DatedDifference, cannot_be_read, dated

if TYPE_CHECKING:
    from orchestration.resources import Assay

_SALE = ("delivered_by", "source", "source_row", "sub_index")
_TOKEN = ("collection", "token_id")
_NOT_BUILT = "the marts are not built, or wait for being built anew"
_ZERO = "'0x0000000000000000000000000000000000000000'"


@dataclass(frozen=True)
class _Derived:
    """A table and how it is compared.

    Attributes:
        table: `schema.table`.
        origin: What it is compared with.
        compare: Does it.
    """

    table: str
    origin: str
    compare: Callable[[duckdb.DuckDBPyConnection, Assay, Comparison], Comparison]


def compare_derived(
    con: duckdb.DuckDBPyConnection, assay: Assay, wanted: Callable[[str], bool]
) -> list[Comparison]:
    """Compare each derived table that is wanted; one that cannot be compared does not stop the others.

    Args:
        con: A connection of the lake at one snapshot.
        assay: The home.
        wanted: Whether a table, given as `schema.table`, is in the scope.
    """
    return [_compared(con, assay, one) for one in _DERIVED if wanted(one.table)]


def _compared(con: duckdb.DuckDBPyConnection, assay: Assay, derived: _Derived) -> Comparison:
    from serving.store.errors import StoreError

    comparison = Comparison(derived.table, derived.origin)
    try:
        return derived.compare(con, assay, comparison)
    except (duckdb.Error, LakeError, StoreError, OSError) as error:
        return replace(comparison, problem=cannot_be_read(error))


def _classified_sales(con: duckdb.DuckDBPyConnection, _: Assay, comparison: Comparison) -> Comparison:
    """Each raw sale is classified once, and unchanged."""
    built = _built_on(con)
    if built is None:
        return replace(comparison, skipped=_NOT_BUILT)
    # Raw as it was when the marts were built: what arrived since is not in them yet.
    shown = f"""
        select delivered_by, source, source_row, sub_index, chain, collection, contract, token_id, tx_hash, log_index,
            event_time, time_uncertainty_s, known_at, price_native, currency, coalesce(quantity, 1) as quantity,
            sale_type, marketplace, nullif(lower(buyer), {_ZERO}) as buyer, nullif(lower(seller), {_ZERO}) as seller
        from ({at_snapshot("raw.sales", built)})
    """
    columns = con.execute(f"describe ({shown})").fetchall()
    found = f"select {', '.join(column[0] for column in columns)} from {comparison.table}"
    return _with(con, comparison, shown, found, _SALE)


def _sales(con: duckdb.DuckDBPyConnection, _: Assay, comparison: Comparison) -> Comparison:
    """A sale is in the mart exactly if it is not excluded."""
    if _built_on(con) is None:
        return replace(comparison, skipped=_NOT_BUILT)
    held = {row[0] for row in con.execute(f"describe {comparison.table}").fetchall()}
    columns = ", ".join(
        f'"{row[0]}"'
        for row in con.execute("describe intermediate.int_sales_classified").fetchall()
        if row[0] in held
    )
    expected = f"select {columns} from intermediate.int_sales_classified where exclusion_reason is null"
    return _with(con, comparison, expected, f"select {columns} from {comparison.table}", ("sale_id",))


def _sums(
    con: duckdb.DuckDBPyConnection, comparison: Comparison, counted: str, columns: tuple[str, ...]
) -> Comparison:
    """What the build's own reconciliation found: all that a source has is counted in one place."""
    if _built_on(con) is None:
        return replace(comparison, skipped=_NOT_BUILT)
    lost_of_row = " + ".join(f"abs({name})" for name in columns)
    rows, lost = con.execute(
        f"select count(*), coalesce(sum({lost_of_row}), 0)::bigint from {comparison.table}"
    ).fetchall()[0]
    problem = f"{lost:,} {counted} are in no place of the sums, or in several" if lost else None
    return replace(comparison, rows=rows, problem=problem)


def _sums_of_sales(con: duckdb.DuckDBPyConnection, _: Assay, comparison: Comparison) -> Comparison:
    return _sums(con, comparison, "rows", ("difference",))


def _sums_of_moves(con: duckdb.DuckDBPyConnection, _: Assay, comparison: Comparison) -> Comparison:
    return _sums(con, comparison, "units", ("difference", "units_not_matched"))


def _estimates(con: duckdb.DuckDBPyConnection, _: Assay, comparison: Comparison) -> Comparison:
    """Each estimate is the one of its time and model in the history."""
    held = [row[0] for row in con.execute("describe predictions.estimate_history").fetchall()]
    columns = ", ".join(f"h.{name}" for name in held)
    expected = f"""
        select {columns} from predictions.estimate_history as h
        join (
            select distinct collection, as_of, model_version, prior_version from predictions.token_estimates
            where estimate_eth is not null
        ) as e on h.collection = e.collection and h.as_of = e.as_of and h.model_version = e.model_version
            and h.prior_version is not distinct from e.prior_version
        qualify row_number() over (partition by h.collection, h.token_id order by h.as_of desc) = 1
    """
    found = f"select {', '.join(held)} from {comparison.table} where estimate_eth is not null"
    # The snapshot of a scoring that found the same values again is newer than that of the history.
    return _with(con, comparison, expected, found, _TOKEN, ignored=("snapshot_id", "feature_watermark"))


def _published(con: duckdb.DuckDBPyConnection, assay: Assay, comparison: Comparison) -> Comparison:
    """The tokens of each collection whose published version is that of the lake."""
    from orchestration.home import store_location
    from serving.store.files import POINTER, check_file, read_pointer
    from serving.store.lake_reader import number, token_digests

    location = store_location(assay.settings)
    if not isinstance(location, Path):
        return replace(comparison, skipped="it is in a database, which is not compared")
    if not (location / POINTER).exists():
        return replace(comparison, skipped="nothing is published yet")
    pointer = read_pointer(location)
    file = quoted(str(check_file(location, pointer)))
    stored = con.execute(f"select name, tokens_digest from sqlite_scan({file}, 'collections')").fetchall()
    digests = token_digests(con)
    current = [name for name, digest in stored if digests.get(name) == digest]
    con.execute(
        "create or replace temp table published_collections as select unnest($1::varchar[]) as name",
        [current],
    )
    expected = f"""
        select collection, token_id, epoch_us(as_of) as as_of, coalesce({number("estimate_eth")}, -1.0) as rank_eth,
            {number("expected_eth")} as expected_eth, grade, tier
        from predictions.token_estimates where collection in (select name from published_collections)
    """
    found = f"""
        select c.name as collection, t.token as token_id, t.as_of, t.rank_eth, t.expected_eth, t.grade, t.tier
        from sqlite_scan({file}, 'tokens') as t join sqlite_scan({file}, 'collections') as c on t.collection = c.id
        where c.name in (select name from published_collections)
    """
    difference = compare(con, expected, found, _TOKEN)
    note = f"in the published version {pointer.version}"
    return comparison.with_difference(
        difference, [DatedDifference(row, None, note) for row in difference.rows]
    )


def _built_on(con: duckdb.DuckDBPyConnection) -> int | None:
    """The snapshot that the marts were built on."""
    row = con.execute("select max(snapshot_id) from ops.mart_watermark").fetchone()
    return None if row is None else row[0]


def _with(
    con: duckdb.DuckDBPyConnection,
    comparison: Comparison,
    expected: str,
    found: str,
    key: tuple[str, ...],
    ignored: tuple[str, ...] = (),
) -> Comparison:
    difference = compare(con, expected, found, key, ignored=ignored)
    return comparison.with_difference(difference, dated(con, comparison.table, key, difference.rows))


CLASSIFIED, ESTIMATES, STORE = (
    "intermediate.int_sales_classified",
    "predictions.token_estimates",
    "serving.tokens",
)

_DERIVED = (
    _Derived(CLASSIFIED, "raw.sales as of the build", _classified_sales),
    _Derived("marts.fct_sales", "classified sales that are not excluded", _sales),
    _Derived("marts.sales_reconciliation", "its sums", _sums_of_sales),
    _Derived("marts.moves_reconciliation", "its sums", _sums_of_moves),
    _Derived(ESTIMATES, "predictions.estimate_history", _estimates),
    _Derived(STORE, ESTIMATES, _published),
)
DERIVED_TABLES = tuple(one.table for one in _DERIVED)
"""What can be named as a table beside the raw ones; `serving.tokens` is the published store."""
