"""Rows that no file states by itself: traits inside sales files, when undated rows became known, collections seen.

Here: deriving them from the rows of all files. Not here: reading the files (`sources.files.loading`).
"""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import EVENT_TABLES, FACT_TABLES, TIMESTAMP, raw_table
from sources.files.candidates import KEPT
from sources.files.reading.tables import ROW
from sources.files.row_sets import numbered, packed, plain
from sources.values import connect

_NO_FILE = -1


def hidden_traits(column: str, sales: pa.Table, rows: pa.Table, file: str) -> pa.Table:
    """The trait that a sales file has of each token, once per token and value."""
    asset = ["chain", "collection", "contract", "token_id", "_label", "_chain_given"]
    with connect() as con:
        con.register("sales", sales.select([*asset, "known_at", "source", "source_row"]))
        con.register("file", rows)
        traits = con.execute(
            f"""select s.chain, any_value(s.collection) as collection, s.contract, s.token_id, $name as trait_type,
                f."{column}"::varchar as trait_value, min(s.known_at) as known_at,
                arg_min(s.source, f."{ROW}") as source, $file || ':' || min(f."{ROW}") as source_row,
                s._label, s._chain_given, false as _undated
            from sales as s join file as f on s.source_row = $file || ':' || f."{ROW}"
            where f."{column}" is not null
            group by s.chain, s._label, s._chain_given, s.contract, s.token_id, f."{column}"
            order by min(f."{ROW}")""",
            {"name": column, "file": file},
        ).to_arrow_table()
    names = [*raw_table("token_traits").names, *KEPT["token_traits"], "_file"]
    return packed(numbered(traits, _NO_FILE).select(names))


def date_undated(rows: dict[str, pa.Table], now: datetime) -> None:
    """Undated rows become known when their collection first occurs.

    A file of traits carries no arrival times; traits that we know only from today would be invisible to all of
    history.
    """
    seen = [_first_known(rows[t]) for t in ("sales", "transfers", "listings") if rows[t].num_rows]
    dated = [rows[t].column("known_at") for t in EVENT_TABLES if rows[t].num_rows]
    earliest = min((pc.min(d).as_py() for d in dated), default=now)
    if seen:
        first = pa.concat_tables(seen).group_by("collection").aggregate([("known_at", "min")])
        names, moments = (
            first.column("collection").combine_chunks(),
            first.column("known_at_min").combine_chunks(),
        )
    else:
        names, moments = pa.array([], pa.string()), pa.array([], TIMESTAMP)
    for table in FACT_TABLES:
        undated = rows[table]
        where = pc.index_in(undated.column("collection").cast(pa.string()), value_set=names)
        known = pc.coalesce(pc.take(moments, where), pa.scalar(earliest, TIMESTAMP))
        known = pc.if_else(undated.column("_undated"), known, undated.column("known_at"))
        at = undated.schema.get_field_index("known_at")
        rows[table] = undated.set_column(at, undated.schema.field(at), known)


def with_derived(rows: dict[str, pa.Table], names: dict[str, str]) -> pa.Table:
    """Collections from their own file, and every other one that is seen in any table."""
    with connect() as con:
        con.register("declared", rows["collections"].select(["collection"]))
        con.register(
            "names",
            pa.table(
                {
                    "collection": pa.array(list(names), pa.string()),
                    "name": pa.array(list(names.values()), pa.string()),
                }
            ),
        )
        for table in ("sales", "transfers", "listings", "token_traits"):
            con.register(table, rows[table].select(["chain", "collection", "contract", "known_at"]))
        derived = con.execute(
            """select chain, s.collection, min(contract) as contract,
                coalesce(any_value(names.name), s.collection) as name,
                null::bigint as supply, min(known_at) as known_at, 'files' as source,
                'collection:' || s.collection as source_row
            from (
                select * from sales union all select * from transfers
                union all select * from listings union all select * from token_traits
            ) as s left join names on s.collection = names.collection
            where s.collection not in (select collection from declared)
            group by chain, s.collection order by s.collection"""
        ).to_arrow_table()
    derived = derived.cast(raw_table("collections").schema)
    kept = plain(rows["collections"].select(list(raw_table("collections").names)), "collections")
    return pa.concat_tables([kept, derived])


def _first_known(rows: pa.Table) -> pa.Table:
    first = rows.select(["collection", "known_at"]).group_by("collection").aggregate([("known_at", "min")])
    return pa.table(
        {"collection": first.column("collection").cast(pa.string()), "known_at": first.column("known_at_min")}
    )
