"""Validation at the door: rows that keep the raw contract go on, the others go to quarantine with a reason.

Here: the rules, the split, and replay of quarantined rows. Not here: how a file's columns get their
contract names (`sources.files.mapping`). Everything is one DuckDB statement over an Arrow table: no row is
looked at in Python. Zero prices and missing prices are facts and pass; the marts exclude them by rule.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from sources.contract import QUARANTINE, Column, RawTable, raw_table
from sources.currencies import CURRENCIES, SYMBOL_BY_SPELLING
from sources.protocol import SourceBatch

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
    "unknown_currency": "a currency we cannot name",
    "unknown_value": "a value outside the column's enumeration",
    "malformed_hex": "an address or hash of the wrong length or alphabet",
    "out_of_range": "a number outside its range",
    "not_utf8": "bytes that are not UTF-8 text",
    "wrong_field_count": "a CSV line with more or fewer fields than the header",
    "unreadable_file": "a file that cannot be read at all",
}
"""Machine words used in `raw.quarantine.reason`."""

# An event of today whose day is not over, or whose week is not, becomes known a little later than now.
_SLACK = "interval 7 day"
_FIRST_CHAIN = "2009-01-03"  # Bitcoin's first block: no token can have traded earlier.
_SQL_TYPES = {
    pa.string(): "varchar",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.timestamp("us"): "timestamp",
}
_ADDRESSES = ("contract", "buyer", "seller", "from_address", "to_address", "currency_address")
_HASHES = ("tx_hash", "block_hash")
_PRICES = ("price_native", "rate", "fee_native", "royalty_native")
_COUNTS = ("quantity", "n_in_tx", "decimals", "log_index", "sub_index", "supply", "time_uncertainty_s")


@dataclass(frozen=True)
class _Rule:
    """A row is rejected when `broken` holds (SQL: typed `t_<column>`, text `s_<column>`)."""

    reason: str
    column: str
    broken: str
    expected: str


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _typed(column: Column, dtype: pa.DataType | None) -> str:
    """SQL that reads a delivered column as its contract type; null when it cannot be read."""
    if dtype is None:
        return f"null::{_SQL_TYPES[column.dtype]}"
    source = f'"{column.name}"'
    if column.dtype == pa.string():
        # 12.0 is the token 12: pandas turns whole numbers into floats when one is missing.
        if pa.types.is_floating(dtype):
            whole = f"{source} = floor({source}) and abs({source}) < 9007199254740992"
            return f"case when {whole} then {source}::bigint::varchar else {source}::varchar end"
        text = f"{source}::varchar"
        if column.name in _ADDRESSES or column.name in _HASHES or column.name == "chain":
            text = f"lower({text})"
        if column.name in ("currency", "symbol"):
            return f"coalesce(spelling[upper(trim({text}))], {text})"
        return f"nullif({text}, '')"
    if column.dtype == pa.timestamp("us"):
        return read_instant(source, dtype)
    if column.dtype == pa.float64():
        number = f"try_cast({source} as double)"
        return f"case when isnan({number}) then null else {number} end"
    return f"try_cast({source} as {_SQL_TYPES[column.dtype]})"


def read_instant(source: str, dtype: pa.DataType) -> str:
    """SQL that reads a value as an instant in UTC; null when it cannot be read."""
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        # By way of timestamptz (session zone UTC), so that an offset in the text counts; else Unix time.
        written = f"try_cast(nullif({source}, '') as timestamptz) at time zone 'UTC'"
        return f"coalesce({written}, {_unix_time(f'try_cast({source} as double)')})"
    if pa.types.is_timestamp(dtype) and dtype.tz is not None:
        return f"{source} at time zone 'UTC'"
    if pa.types.is_integer(dtype) or pa.types.is_floating(dtype):
        return _unix_time(source)
    return f"try_cast({source} as timestamp)"


def _unix_time(number: str) -> str:
    """SQL of an instant from Unix time in s, ms, us or ns: 1e11 s is the year 5138, 1e11 ms is 1973."""
    micros = (
        f"case when abs({number}) >= 1e17 then {number} / 1000 when abs({number}) >= 1e14 then {number}"
        f" when abs({number}) >= 1e11 then {number} * 1000 else {number} * 1000000 end"
    )
    return f"try(make_timestamp(({micros})::bigint))"


def _rules(table: RawTable, delivered: Mapping[str, pa.DataType], always: Collection[str]) -> list[_Rule]:
    """The rules of a table in the order in which they are tried; the first broken one names the reason."""
    rules = [
        _Rule("missing_column", name, "true", f"column {name}") for name in always if name not in delivered
    ]
    for c in table.columns:
        if c.name in delivered and c.dtype != pa.string():
            reason = "unparsable_timestamp" if c.dtype == pa.timestamp("us") else "wrong_type"
            given = f"nullif(s_{c.name}, '') is not null and lower(s_{c.name}) <> 'nan'"
            rules.append(_Rule(reason, c.name, f"t_{c.name} is null and {given}", f"a {_SQL_TYPES[c.dtype]}"))
    rules += [
        _Rule("null_key", c.name, f"t_{c.name} is null", f"a value in {c.name}")
        for c in table.columns
        if c.required
    ]
    names = set(table.names)
    for c in table.columns:
        if c.allowed:
            options = ", ".join(quote(v) for v in c.allowed)
            rules.append(
                _Rule("unknown_value", c.name, f"t_{c.name} not in ({options})", f"one of {options}")
            )
        if c.name in _PRICES:
            rules.append(_Rule("not_finite", c.name, f"isinf(t_{c.name})", "a finite number"))
            rules.append(_Rule("negative_price", c.name, f"t_{c.name} < 0", "a number >= 0"))
        if c.name in _COUNTS:
            rules.append(_Rule("out_of_range", c.name, f"t_{c.name} < 0", "a number >= 0"))
    for width, columns in ((40, _ADDRESSES), (64, _HASHES)):
        for name in columns:
            if name in names:
                # Names and other chains' accounts are not hex and pass; what starts with 0x claims to be.
                broken = (
                    f"starts_with(t_{name}, '0x')"
                    f" and not regexp_full_match(t_{name}, '0x[0-9a-f]{{{width}}}')"
                )
                rules.append(_Rule("malformed_hex", name, broken, f"0x and {width} hex digits"))
    if "currency" in names:
        rules.append(
            _Rule("unknown_currency", "currency", "most[t_currency] is null", "a currency we can name")
        )
        rules.append(
            _Rule(
                "impossible_price",
                "price_native",
                "t_price_native > most[t_currency]",
                "a price in whole units of the currency, below its supply",
            )
        )
    latest = f"t_known_at > $now + {_SLACK}"
    rules.append(_Rule("future_timestamp", "known_at", latest, "a time not later than now"))
    if "event_time" in names:
        floor = f"timestamp '{_FIRST_CHAIN}'"
        rules += [
            _Rule("future_timestamp", "event_time", "t_event_time > $now", "a time not later than now"),
            _Rule("timestamp_out_of_range", "event_time", f"t_event_time < {floor}", f"after {_FIRST_CHAIN}"),
            _Rule("known_before_event", "known_at", "t_known_at < t_event_time", "known_at >= event_time"),
        ]
    return rules


def _map_literal(pairs: Iterable[tuple[str, str]]) -> str:
    return "map {" + ", ".join(f"{quote(k)}: {v}" for k, v in pairs) + "}"


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB in UTC, for the set-wise work of this room."""
    con = duckdb.connect(config={"threads": 2})
    con.execute("set timezone = 'UTC'")
    return con


def validate(
    table: str,
    candidate: pa.Table,
    *,
    now: datetime,
    undated_known_at: datetime,
    always: Collection[str] = (),
) -> SourceBatch:
    """Split rows into those that keep the raw contract and those that do not.

    Args:
        table: Raw table the rows are meant for.
        candidate: Rows with contract column names and any types; columns may be missing, others may be added
            (they are kept in the payload). Must hold `source` and `source_row`.
        now: Instant (UTC, naive) after which an event is in the future.
        undated_known_at: `known_at` of a rejected row that has no readable one, or one in the future.
        always: Columns the source always delivers: when one is missing, the rows are rejected.

    Returns:
        Rows in the contract's schema and order of arrival, and the rejected rows.

    Raises:
        UnknownTableError: If the contract has no such table.
    """
    contract = raw_table(table)
    delivered = {f.name: f.type for f in candidate.schema}
    rules = _rules(contract, delivered, always)
    typed = ", ".join(f"{_typed(c, delivered.get(c.name))} as t_{c.name}" for c in contract.columns)
    text = ", ".join(
        f'"{c.name}"::varchar as s_{c.name}'
        for c in contract.columns
        if c.name in delivered and c.dtype != pa.string()
    )
    verdict = " ".join(f"when {rule.broken} then {number}" for number, rule in enumerate(rules))
    spelling = _map_literal((k, quote(v)) for k, v in SYMBOL_BY_SPELLING.items())
    most = _map_literal((c.symbol, f"{c.max_price!r}::double") for c in CURRENCIES)
    judged = f"""
        with maps as materialized (select {spelling} as spelling, {most} as most),
        typed as (select c.*, {typed}{", " + text if text else ""}, most from candidate as c, maps),
        judged as (select *, case {verdict} end as broken from typed)
    """
    con = connect()
    try:
        con.register("candidate", candidate)
        kept = ", ".join(f"t_{c.name} as {c.name}" for c in contract.columns)
        rows = con.execute(f"{judged} select {kept} from judged where broken is null", {"now": now})
        good = rows.to_arrow_table().cast(contract.schema)
        if good.num_rows == candidate.num_rows:
            return SourceBatch(good, QUARANTINE.schema.empty_table())
        found = " ".join(
            f'when {number} then "{rule.column}"::varchar'
            for number, rule in enumerate(rules)
            if rule.column in delivered
        )
        found = f"case broken {found} end" if found else "null::varchar"
        payload = ", ".join(f'"{name}" := "{name}"' for name in delivered)
        bad = con.execute(
            f"""{judged} select broken, source, source_row, {found} as found,
                case when t_known_at <= $now then t_known_at else $undated end as known_at,
                to_json(struct_pack({payload}))::varchar as payload
            from judged where broken is not null""",
            {"now": now, "undated": undated_known_at},
        ).to_arrow_table()
    finally:
        con.close()
    return SourceBatch(good, _quarantined(table, bad, rules))


def _quarantined(table: str, bad: pa.Table, rules: list[_Rule]) -> pa.Table:
    """Rejected rows in the quarantine schema; `broken` numbers the rule."""
    broken = bad.column("broken").combine_chunks()
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
    outcome: dict[str, SourceBatch] = {}
    tables = quarantined.column("table_name").to_pylist()
    for table in sorted(set(tables)):
        chosen = quarantined.filter(pa.array([t == table for t in tables]))
        payloads = [json.loads(p) for p in chosen.column("payload").to_pylist()]
        rows = [{(renames or {}).get(k, k): v for k, v in p.items()} for p in payloads]
        names = list(dict.fromkeys(k for row in rows for k in row))
        texts = {n: pa.array([_as_text(row.get(n)) for row in rows], pa.string()) for n in names}
        # A row that never was one (an unreadable file) stays as it is: its payload has no contract column.
        latest = max(chosen.column("known_at").to_pylist())
        outcome[table] = validate(table, _with_origin(texts, chosen), now=now, undated_known_at=latest)
    return outcome


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value)


def _with_origin(texts: dict[str, pa.Array], quarantined: pa.Table) -> pa.Table:
    """The candidate of a replay: payload columns, with the origin the quarantine row knows."""
    origin = {name: quarantined.column(name).combine_chunks() for name in ("source", "source_row")}
    return pa.table({**texts, **origin})
