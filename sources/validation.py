"""Validation at the door: rows that keep the raw contract go on, the others go to quarantine with a reason.

Here: the split, and replay of quarantined rows. Not here: the rules (`sources.rules`), nor how a file's columns get
their contract names (`sources.files.mapping`). Everything is one DuckDB statement over an Arrow table: no row is
looked at in Python. Zero prices and missing prices are facts and pass; the marts exclude them by rule.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import QUARANTINE, TIMESTAMP, RawTable, raw_table
from sources.currencies import CURRENCIES, SYMBOL_BY_SPELLING
from sources.instants import read_times
from sources.protocol import SourceBatch
from sources.rules import Rule, cleaned_text, rules_of, typed
from sources.values import cleaned, connect, is_text, quote, quote_name

REASONS: dict[str, str] = {
    "missing_column": "the source did not deliver a column it always has",
    "null_key": "a required value is missing",
    "wrong_type": "a value cannot be read as the column's type",
    "unparsable_timestamp": "a value cannot be read as a time",
    "future_timestamp": "an event later than now",
    "timestamp_out_of_range": "an event before any chain existed",
    "known_before_event": "learnt before it happened",
    "negative_price": "a price below zero",
    "impossible_price": "a price above everything ever issued of the currency (base units?)",
    "not_finite": "a number that is infinite",
    "base_units": "a price that is right only in base units, among others in whole units",
    "price_disagrees": "two prices of one row that differ more than threefold by the rate known then",
    "ambiguous_rate": "one symbol with two rates at one time",
    "unknown_currency": "a currency we cannot name",
    "unknown_chain": "a chain we cannot name",
    "unknown_value": "a value outside the column's enumeration",
    "inexact_token": "a token id that has lost digits or is no whole number",
    "ambiguous_collection": "a name or an address that several collections share",
    "not_a_sale": "an event that is no sale, among sales",
    "not_a_token": "a contract that no other file knows as one of tokens",
    "malformed_hex": "an address or hash of the wrong length or alphabet",
    "out_of_range": "a number outside its range",
    "not_utf8": "bytes that are not UTF-8 text",
    "wrong_field_count": "a CSV line with more or fewer fields than the header",
    "unreadable_file": "a file that cannot be read at all",
}
"""Machine words used in `raw.quarantine.reason`."""


def _map_literal(pairs: Iterable[tuple[str, str]]) -> str:
    return "map {" + ", ".join(f"{quote(k)}: {v}" for k, v in pairs) + "}"


SIDE_WORDS: dict[str, str] = {
    "ask": "listing_filled",
    "sell": "listing_filled",
    "buy": "listing_filled",
    "listing": "listing_filled",
    "bid": "bid_accepted",
    "offer": "bid_accepted",
    "offer accepted": "bid_accepted",
    "bid_won": "bid_accepted",
    "mint": "primary",
    "minted": "primary",
    "primary_sale": "primary",
    "resale": "secondary",
    "secondary_sale": "secondary",
}
"""Words of exports → words of the contract's enumerations; one that does not fit its column is no value."""


def validate(
    table: str,
    candidate: pa.Table,
    *,
    now: datetime,
    undated_known_at: datetime,
    always: Collection[str] = (),
    originals: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    any_currency: bool = False,
) -> SourceBatch:
    """Split rows into those that keep the raw contract and those that do not.

    Args:
        table: Raw table the rows are meant for.
        candidate: Rows with contract column names and any types; columns may be missing, others may be added
            (they are kept in the payload). Must hold `source` and `source_row`.
        now: Instant (UTC, naive) after which an event is in the future.
        undated_known_at: `known_at` of a rejected row that has no readable one, or one in the future.
        always: Columns the source always delivers: when one is missing, the rows are rejected.
        originals: Contract column → candidate column that holds it as it was delivered, where the contract column
            itself has been read already. What was found, and the payload, are the delivered value.
        keep: Candidate columns that go on beside the contract's, after them, for good rows only.
        any_currency: Whether a currency that we cannot name passes; the caller knows the rates and judges it.

    Returns:
        Rows in the contract's schema (then `keep`) and order of arrival, and the rejected rows.

    Raises:
        UnknownTableError: If the contract has no such table.
    """
    contract = raw_table(table)
    given = dict(originals or {})
    candidate, given = _with_times_read(contract, candidate, given)
    delivered = {f.name: f.type for f in candidate.schema}
    rules = [
        r
        for r in rules_of(contract, delivered, always)
        if not (any_currency and r.reason == "unknown_currency")
    ]
    con = connect()
    try:
        _set_words(con)
        con.register("candidate", candidate)
        judged = con.execute(_judging(contract, delivered, given, rules, keep), {"now": now}).to_arrow_table()
        wrong = pc.is_valid(judged.column("_broken"))
        schema = [*contract.schema, *(judged.schema.field(name) for name in keep)]
        good = judged.drop_columns(["_broken"])
        if not pc.any(wrong).as_py():
            return SourceBatch(good.cast(pa.schema(schema)), QUARANTINE.schema.empty_table())
        good = good.filter(pc.invert(wrong)).cast(pa.schema(schema))
        known = judged.column("known_at") if "known_at" in judged.column_names else pa.nulls(judged.num_rows)
        bad = candidate.append_column("_broken", judged.column("_broken"))
        bad = bad.append_column("_known_at", known.cast(TIMESTAMP)).filter(wrong)
        con.register("bad", bad)
        found = " ".join(
            f"when {number} then {quote_name(given.get(rule.column, rule.column))}::varchar"
            for number, rule in enumerate(rules)
            if rule.column in delivered
        )
        found = f"case _broken {found} end" if found else "null::varchar"
        hidden = {*given.values(), *keep}
        payload = ", ".join(
            f"{quote_name(name)} := {quote_name(given.get(name, name))}"
            for name in delivered
            if name not in hidden
        )
        refused = con.execute(
            f"""select _broken, source, source_row, {found} as found,
                case when _known_at <= $now then _known_at else $undated end as known_at,
                to_json(struct_pack({payload}))::varchar as payload
            from bad""",
            {"now": now, "undated": undated_known_at},
        ).to_arrow_table()
    finally:
        con.close()
    return SourceBatch(good, _quarantined(table, refused, rules))


def _with_times_read(
    contract: RawTable, candidate: pa.Table, given: dict[str, str]
) -> tuple[pa.Table, dict[str, str]]:
    """The candidate with its text columns of times read, the texts kept as originals."""
    for column in contract.columns:
        if column.dtype != TIMESTAMP or column.name not in candidate.column_names:
            continue
        texts = candidate.column(column.name)
        if is_text(texts.type):
            where = candidate.schema.get_field_index(column.name)
            candidate = candidate.set_column(where, column.name, read_times(texts).instants)
            name = f"_given_{column.name}"
            if column.name not in given:
                candidate = candidate.append_column(name, texts)
                given[column.name] = name
    return candidate, given


def _set_words(con: duckdb.DuckDBPyConnection) -> None:
    """The variables that rules and typed values look words up in."""
    spelling = _map_literal((k, quote(v)) for k, v in SYMBOL_BY_SPELLING.items())
    words = _map_literal((k, quote(v)) for k, v in SIDE_WORDS.items())
    most = _map_literal((c.symbol, f"{c.max_price!r}::double") for c in CURRENCIES)
    for name, literal in (("spelling", spelling), ("words", words), ("most", most)):
        con.execute(f"set variable {name} = {literal}")


def _judging(
    contract: RawTable,
    delivered: Mapping[str, pa.DataType],
    given: Mapping[str, str],
    rules: Sequence[Rule],
    keep: Sequence[str],
) -> str:
    """The query of typed values, `keep` and `_broken`, the number of the first broken rule, in the candidate's order.

    In steps that build on one another: an expression that repeats itself would be planned for seconds.
    """
    chain = next((typed(c, delivered) for c in contract.columns if c.name == "chain"), None)
    values = ", ".join(f"{typed(c, delivered)} as t_{c.name}" for c in contract.columns if c.name != "chain")
    texts = cleaned_text(contract, delivered)
    originals = {
        f"g_{c.name}": f"{quote_name(given.get(c.name, c.name))}::varchar"
        for c in contract.columns
        if c.name in delivered and (c.dtype != pa.string() or c.name in ("token_id", "chain"))
    }
    shared = {
        name: f"w_{name[2:]}" for name in originals if f"w_{name[2:]}" in texts and name[2:] not in given
    }
    cells = {name: sql for name, sql in originals.items() if name not in shared}
    flags = ", ".join(f"{shared.get(name, name + '_text')} is not null as {name}" for name in originals)
    verdict = " ".join(f"when {rule.broken} then {number}" for number, rule in enumerate(rules))
    columns = ", ".join(f"t_{c.name} as {c.name}" for c in contract.columns)
    beside = "".join(f", {quote_name(name)}" for name in keep)
    words = cleaned("candidate", {**texts, **{f"{name}_text": sql for name, sql in cells.items()}})
    return f"""
        with cleaned as ({words}),
        chained as (select *, {chain or "null::varchar"} as t_chain from cleaned),
        typed as (select *, {values}{", " + flags if flags else ""} from chained),
        judged as (select *, case {verdict} end as _broken from typed)
        select {columns}{beside}, _broken from judged
    """


def _quarantined(table: str, bad: pa.Table, rules: list[Rule]) -> pa.Table:
    """Rejected rows in the quarantine schema; `_broken` numbers the rule."""
    broken = bad.column("_broken").combine_chunks()
    named = {
        "reason": pa.array([r.reason for r in rules]).take(broken),
        "column_name": pa.array([r.column for r in rules]).take(broken),
        "expected": pa.array([r.expected for r in rules]).take(broken),
    }
    return quarantine(
        table,
        source=bad.column("source"),
        source_row=bad.column("source_row"),
        found=bad.column("found"),
        payload=bad.column("payload"),
        known_at=bad.column("known_at"),
        **named,
    )


def quarantine(table: str, **columns: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Quarantine rows from their columns (all of the contract but table_name, status and the id)."""
    rows = pa.table(columns)
    con = connect()
    try:
        con.register("rows", rows)
        return (
            con.execute(
                """select md5(coalesce(source_row, '') || ':' || reason) as quarantine_id,
                    $table_name as table_name, coalesce(source, 'unknown') as source,
                    coalesce(source_row, 'unknown') as source_row, reason, column_name, expected, found,
                    payload, known_at, 'open' as status from rows""",
                {"table_name": table},
            )
            .to_arrow_table()
            .cast(QUARANTINE.schema)
        )
    finally:
        con.close()


def replay(
    quarantined: pa.Table, *, now: datetime, renames: Mapping[str, str] | None = None
) -> dict[str, SourceBatch]:
    """Judge quarantined rows again by today's rules.

    Args:
        quarantined: Rows of `raw.quarantine` (any status; pass the open ones).
        now: Instant (UTC, naive) after which an event is in the future.
        renames: Payload column → contract column, for rows that came under a wrong name.

    Returns:
        Per raw table the rows that are now good, and those that still are not. A row that is now good keeps
        its `source_row`, by which its quarantine row can be marked `replayed`.
    """
    # A row that came without a column stays out until the column is there: its absence is not a missing value.
    missing = pc.if_else(
        pc.equal(quarantined.column("reason"), "missing_column"), quarantined.column("column_name"), None
    )
    groups: dict[tuple[str, str | None], list[int]] = {}
    for position, key in enumerate(
        zip(quarantined.column("table_name").to_pylist(), missing.to_pylist(), strict=True)
    ):
        groups.setdefault(key, []).append(position)
    judged: dict[str, list[SourceBatch]] = {}
    for (table, column), positions in groups.items():
        chosen = quarantined.take(pa.array(positions))
        payloads = [json.loads(p) for p in chosen.column("payload").to_pylist()]
        rows = [{(renames or {}).get(k, k): v for k, v in p.items()} for p in payloads]
        names = list(dict.fromkeys(k for row in rows for k in row))
        texts = {n: pa.array([_as_text(row.get(n)) for row in rows], pa.string()) for n in names}
        latest = max(chosen.column("known_at").to_pylist())
        always = [column] if column else []
        # A row that never was one (an unreadable file) stays as it is: its payload has no contract column.
        batch = validate(table, _with_origin(texts, chosen), now=now, undated_known_at=latest, always=always)
        judged.setdefault(table, []).append(batch)
    return {
        table: SourceBatch(
            pa.concat_tables([b.rows for b in batches]), pa.concat_tables([b.rejected for b in batches])
        )
        for table, batches in judged.items()
    }


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value)


def _with_origin(texts: dict[str, pa.Array], quarantined: pa.Table) -> pa.Table:
    """The candidate of a replay: payload columns, with the origin the quarantine row knows."""
    origin = {name: quarantined.column(name).combine_chunks() for name in ("source", "source_row")}
    return pa.table({**texts, **origin})
