"""The rules a raw row must keep, as SQL made from the contract.

Here: how delivered values are read as the contract's types, and what breaks a row. Not here: running the rules
(`sources.validation`). A rule is looked up in order; the first broken one names the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from sources.contract import Column, RawTable

# An event of today whose day is not over, or whose week is not, becomes known a little later than now.
_SLACK = "interval 7 day"
_FIRST_CHAIN = "2009-01-03"  # Bitcoin's first block: no token can have traded earlier.
SQL_TYPES = {
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
class Rule:
    """A row is rejected when `broken` holds (SQL: typed `t_<column>`, text `s_<column>`)."""

    reason: str
    column: str
    broken: str
    expected: str


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def typed(column: Column, dtype: pa.DataType | None) -> str:
    """SQL that reads a delivered column as its contract type; null when it cannot be read."""
    if dtype is None:
        return f"null::{SQL_TYPES[column.dtype]}"
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
            return f"coalesce(_spelling[upper(trim({text}))], {text})"
        return f"nullif({text}, '')"
    if column.dtype == pa.timestamp("us"):
        return read_instant(source, dtype)
    if column.dtype == pa.float64():
        number = f"try_cast({source} as double)"
        return f"case when isnan({number}) then null else {number} end"
    return f"try_cast({source} as {SQL_TYPES[column.dtype]})"


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


def rules_of(table: RawTable, delivered: Mapping[str, pa.DataType], always: Collection[str]) -> list[Rule]:
    """The rules of a table in the order in which they are tried; the first broken one names the reason."""
    rules = [
        Rule("missing_column", name, "true", f"column {name}") for name in always if name not in delivered
    ]
    for c in table.columns:
        if c.name in delivered and c.dtype != pa.string():
            reason = "unparsable_timestamp" if c.dtype == pa.timestamp("us") else "wrong_type"
            given = f"nullif(s_{c.name}, '') is not null and lower(s_{c.name}) <> 'nan'"
            rules.append(Rule(reason, c.name, f"t_{c.name} is null and {given}", f"a {SQL_TYPES[c.dtype]}"))
    rules += [
        Rule("null_key", c.name, f"t_{c.name} is null", f"a value in {c.name}")
        for c in table.columns
        if c.required
    ]
    names = set(table.names)
    for c in table.columns:
        if c.allowed:
            options = ", ".join(quote(v) for v in c.allowed)
            rules.append(Rule("unknown_value", c.name, f"t_{c.name} not in ({options})", f"one of {options}"))
        if c.name in _PRICES:
            rules.append(Rule("not_finite", c.name, f"isinf(t_{c.name})", "a finite number"))
            rules.append(Rule("negative_price", c.name, f"t_{c.name} < 0", "a number >= 0"))
        if c.name in _COUNTS:
            rules.append(Rule("out_of_range", c.name, f"t_{c.name} < 0", "a number >= 0"))
    for width, columns in ((40, _ADDRESSES), (64, _HASHES)):
        for name in columns:
            if name in names:
                # Names and other chains' accounts are not hex and pass; what starts with 0x claims to be.
                broken = (
                    f"starts_with(t_{name}, '0x')"
                    f" and not regexp_full_match(t_{name}, '0x[0-9a-f]{{{width}}}')"
                )
                rules.append(Rule("malformed_hex", name, broken, f"0x and {width} hex digits"))
    if "currency" in names:
        rules.append(
            Rule("unknown_currency", "currency", "_most[t_currency] is null", "a currency we can name")
        )
        rules.append(
            Rule(
                "impossible_price",
                "price_native",
                "t_price_native > _most[t_currency]",
                "a price in whole units of the currency, below its supply",
            )
        )
    latest = f"t_known_at > $now + {_SLACK}"
    rules.append(Rule("future_timestamp", "known_at", latest, "a time not later than now"))
    if "event_time" in names:
        floor = f"timestamp '{_FIRST_CHAIN}'"
        rules += [
            Rule("future_timestamp", "event_time", "t_event_time > $now", "a time not later than now"),
            Rule("timestamp_out_of_range", "event_time", f"t_event_time < {floor}", f"after {_FIRST_CHAIN}"),
            Rule("known_before_event", "known_at", "t_known_at < t_event_time", "known_at >= event_time"),
        ]
    return rules
