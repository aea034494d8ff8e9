"""Columns by their distinct values: what repeats is cleaned, read or judged once.

Here: finding the distinct values, and cleaning texts by them. Not here: what is asked of a value (`sources.values`,
`sources.judging`).
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from sources.values import cleaned, is_text, needs_cleaning, quote_name

_SAMPLE = 20_000
_FEW = 0.5


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    array = column.combine_chunks()
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


def coded(texts: pa.ChunkedArray) -> pa.DictionaryArray | None:
    """A column by its distinct values, null among them; None when most are distinct."""
    rows = len(texts)
    if rows > _SAMPLE and pc.count_distinct(texts.slice(0, _SAMPLE)).as_py() > _FEW * _SAMPLE:
        return None
    codes = pc.dictionary_encode(whole(texts), null_encoding="encode")
    return codes if rows <= _SAMPLE or len(codes.dictionary) <= _FEW * rows else None


def side_by_side(columns: Mapping[str, pa.DictionaryArray]) -> pa.Table:
    """The distinct values of several columns as one table, the short ones filled up with nulls."""
    longest = max(len(c.dictionary) for c in columns.values())
    return pa.table(
        {
            name: pa.concat_arrays([c.dictionary, pa.nulls(longest - len(c.dictionary), c.dictionary.type)])
            for name, c in columns.items()
        }
    )


def words(con: duckdb.DuckDBPyConnection, columns: Mapping[str, pa.ChunkedArray]) -> dict[str, pa.Array]:
    """Columns as texts without outer blanks and null words (see `sources.values.cleaned`)."""
    read: dict[str, pa.Array] = {}
    few: dict[str, pa.DictionaryArray] = {}
    many: dict[str, pa.ChunkedArray] = {}
    for name, column in columns.items():
        if pa.types.is_integer(column.type):
            read[name] = whole(column.cast(pa.string()))
            continue
        codes = coded(column) if is_text(column.type) else None
        if codes is None:
            many[name] = column
        else:
            few[name] = codes
    if few:
        clean = _cleaned(con, side_by_side(few))
        for name, codes in few.items():
            read[name] = whole(clean.column(name))[: len(codes.dictionary)].take(codes.indices)
    for name, column in many.items():
        read[name] = whole(column) if _is_clean(con, column) else _one_cleaned(con, column)
    return read


def _is_clean(con: duckdb.DuckDBPyConnection, column: pa.ChunkedArray) -> bool:
    if not is_text(column.type):
        return False
    con.register("given", pa.table({"x": column}))
    row = con.execute(f"select coalesce(bool_or({needs_cleaning('x')}), false) from given").fetchone()
    return row is not None and not row[0]


def _one_cleaned(con: duckdb.DuckDBPyConnection, column: pa.ChunkedArray) -> pa.Array:
    return whole(_cleaned(con, pa.table({"x": column})).column("x"))


def _cleaned(con: duckdb.DuckDBPyConnection, columns: pa.Table) -> pa.Table:
    con.register("given", columns)
    texts = {f"w_{n}": f"{quote_name(n)}::varchar" for n in columns.column_names}
    chosen = ", ".join(f"{quote_name(f'w_{n}')} as {quote_name(n)}" for n in columns.column_names)
    return con.execute(f"select {chosen} from ({cleaned('given', texts)})").to_arrow_table()
