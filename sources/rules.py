"""The rules a raw row must keep, as SQL made from the contract.

Here: how delivered values are read as the contract's types, and what breaks a row. Not here: running the rules
(`sources.judging`). Rules are tried in order; the first broken one names the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from sources import values
from sources.contract import Column, RawTable
from sources.currencies import MAX_PRICE
from sources.instants import moment
from sources.values import decimal_number, is_text, quote, quote_name, truth, whole_number

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
_ADDRESSES = ("contract", "buyer", "seller", "from_address", "to_address", "currency_address", "gas_payer")
_NAMES = ("collection", "marketplace", "order_id", "maker", "granularity", "quote", "name")
_HASHES = ("tx_hash", "block_hash")
_CLEANED = (*_ADDRESSES, *_HASHES, *_NAMES, "chain", "token_id", "currency", "symbol")
_PRICES = ("price_native", "rate", "fee_native", "royalty_native", "buyer_fee_native", "gas_native")
_COUNTS = (
    "quantity",
    "n_in_tx",
    "decimals",
    "log_index",
    "sub_index",
    "supply",
    "time_uncertainty_s",
    "gas_used",
    "gas_price_wei",
)


@dataclass(frozen=True)
class Rule:
    """A row is rejected when `broken` holds.

    Attributes:
        reason: Machine word of `sources.validation.REASONS`.
        column: Column that breaks the rule.
        broken: SQL over typed values `t_<column>`, and `g_<column>`: whether something was given.
        expected: What a row must have.
        beside: Other columns that `broken` asks for; `most` is the highest price of the currency.
    """

    reason: str
    column: str
    broken: str
    expected: str
    beside: tuple[str, ...] = ()

    @property
    def asks_given(self) -> bool:
        """Whether a value that cannot be read can be distinguished from none by what was delivered."""
        return f"g_{self.column}" in self.broken


def typed(column: Column, delivered: Mapping[str, pa.DataType]) -> str:
    """SQL that reads a delivered column as its contract type; null when it cannot be read.

    Reads the candidate's columns, and `w_<column>` (see `cleaned_text`) of those that are text.

    Args:
        column: Column of the contract.
        delivered: Columns of the candidate and their types; times are no text any more.
    """
    if column.name not in delivered:
        return f"null::{SQL_TYPES[column.dtype]}"
    dtype, raw = delivered[column.name], quote_name(column.name)
    clean = f"w_{column.name}" if is_text(dtype) else raw
    if column.dtype == pa.timestamp("us"):
        return moment(raw, dtype)
    if column.dtype == pa.float64():
        return decimal_number(clean)
    if column.dtype == pa.int64():
        return whole_number(clean, dtype)
    if column.dtype == pa.bool_():
        return raw if pa.types.is_boolean(dtype) else truth(f"{clean}::varchar")
    if column.name == "token_id":
        return values.token_id(raw, clean, dtype, "coalesce(t_chain, 'ethereum')")
    return _typed_text(column, raw if is_text(dtype) else f"{raw}::varchar", f"{clean}::varchar")


def cleaned_text(contract: RawTable, delivered: Mapping[str, pa.DataType]) -> dict[str, str]:
    """`w_<column>` → SQL of each delivered text column whose blanks and null words do not count."""
    return {
        f"w_{c.name}": quote_name(c.name)
        for c in contract.columns
        if c.name in delivered
        and is_text(delivered[c.name])
        and (c.dtype != pa.string() or c.allowed or c.name in _CLEANED)
    }


def _typed_text(column: Column, raw: str, clean: str) -> str:
    if column.name == "chain":
        return values.chain(raw, clean)
    if column.name in _ADDRESSES:
        return values.address(raw, clean)
    if column.name in _HASHES:
        return values.transaction(raw, clean)
    if column.name == "symbol":
        # A pair with the dollar is the rate of its first half.
        first = (
            f"regexp_replace(upper({clean}), '^([A-Z0-9]{{2,}})( ?[-/_:.] ?)(USDT?|USDC|US DOLLAR)$', '\\1')"
        )
        return f"coalesce(getvariable('spelling')[{first}], {first})"
    if column.name == "currency":
        return f"coalesce(getvariable('spelling')[upper({clean})], upper({clean}))"
    if column.allowed:
        options = " ".join(f"when {quote(v.lower())} then {quote(v)}" for v in column.allowed)
        known = f"case coalesce(getvariable('words')[lower({clean})], lower({clean})) {options}"
        # A word that is optional and not understood costs the word, not the row.
        return f"{known} else {clean} end" if column.required else f"{known} end"
    if column.name in _NAMES:
        return clean
    return f"nullif({raw}, '')"


def not_canonical(column: Column, value: str) -> str:
    """SQL: whether a text is not in its one canonical form, in which reading would leave it as it is.

    True says that the text must be read, not that it is wrong.
    """
    if column.name in _ADDRESSES:
        return f"not regexp_full_match({value}, '0x[0-9a-f]{{40}}')"
    if column.name in _HASHES:
        return f"not regexp_full_match({value}, '0x[0-9a-f]{{64}}')"
    if column.name == "token_id":
        return f"not regexp_full_match({value}, '{values.PLAIN_TOKEN}')"
    known = values.PLAIN_CHAINS if column.name == "chain" else column.allowed
    if column.name in ("currency", "symbol"):
        known = tuple(MAX_PRICE)
    if known:
        return f"not list_contains([{', '.join(quote(w) for w in known)}], {value})"
    return (
        values.needs_cleaning(value) if column.name in _NAMES else f"{value} = '' or {values.has_nul(value)}"
    )


def rules_of(table: RawTable, delivered: Collection[str], always: Collection[str]) -> list[Rule]:
    """The rules of a table in the order in which they are tried; the first broken one names the reason."""
    rules = [
        Rule("missing_column", name, "true", f"column {name}") for name in always if name not in delivered
    ]
    for c in table.columns:
        if c.name not in delivered:
            continue
        given = f"g_{c.name}"
        if c.dtype != pa.string():
            reason = "unparsable_timestamp" if c.dtype == pa.timestamp("us") else "wrong_type"
            expected = (
                "one time only, in UTC or with an offset" if "time" in reason else f"a {SQL_TYPES[c.dtype]}"
            )
            rules.append(Rule(reason, c.name, f"t_{c.name} is null and {given}", expected))
        elif c.name == "token_id":
            rules.append(
                Rule(
                    "inexact_token",
                    c.name,
                    f"t_{c.name} is null and {given}",
                    "a whole number in full, or hex",
                )
            )
        elif c.name == "chain":
            rules.append(
                Rule("unknown_chain", c.name, f"t_{c.name} is null and {given}", "a chain we can name")
            )
    rules += [
        Rule("null_key", c.name, f"t_{c.name} is null", f"a value in {c.name}")
        for c in table.columns
        if c.required
    ]
    rules += [
        Rule("nul_character", c.name, values.has_nul(f"t_{c.name}"), "a text without the character NUL")
        for c in table.columns
        if c.dtype == pa.string() and not c.allowed and c.name in delivered
    ]
    names = set(table.names)
    for c in table.columns:
        if c.allowed and c.required:
            options = ", ".join(quote(v) for v in c.allowed)
            unknown = f"not list_contains([{options}], t_{c.name})"
            rules.append(Rule("unknown_value", c.name, unknown, f"one of {options}"))
        if c.name in _PRICES:
            rules.append(Rule("not_finite", c.name, f"isinf(t_{c.name})", "a finite number"))
            rules.append(Rule("negative_price", c.name, f"t_{c.name} < 0", "a number >= 0"))
        if c.name == "rate":
            rules.append(Rule("out_of_range", c.name, f"t_{c.name} = 0", "a number > 0"))
        if c.name in _COUNTS:
            rules.append(Rule("out_of_range", c.name, f"t_{c.name} < 0", "a number >= 0"))
    for width, columns in ((40, _ADDRESSES), (64, _HASHES)):
        for name in columns:
            if name in names:
                # Names and other chains' accounts are not hex and pass. What starts with 0x claims to be; so does an
                # account with it inside (eip155:1:0x…), or one whose digits a spreadsheet lost (1.49e+47).
                claims = "^0x|0x[0-9a-f]{40}|^[0-9.]+e[+]?[0-9]+$" if width == 40 else "^0x"
                broken = (
                    f"regexp_matches(t_{name}, '{claims}')"
                    f" and not regexp_full_match(t_{name}, '0x[0-9a-f]{{{width}}}')"
                )
                rules.append(Rule("malformed_hex", name, broken, f"0x and {width} hex digits"))
    if "currency" in names:
        rules.append(
            Rule(
                "unknown_currency",
                "currency",
                "getvariable('most')[t_currency] is null",
                "a currency we can name, or one that the rates know",
            )
        )
        rules.append(
            Rule(
                "impossible_price",
                "price_native",
                "t_price_native > most",
                "a price in whole units of the currency, not in base units",
                ("currency",),
            )
        )
    latest = f"t_known_at > $now + {_SLACK}"
    rules.append(Rule("future_timestamp", "known_at", latest, "a time not later than now"))
    if "event_time" in names:
        floor = f"timestamp '{_FIRST_CHAIN}'"
        rules += [
            Rule("future_timestamp", "event_time", "t_event_time > $now", "a time not later than now"),
            Rule("timestamp_out_of_range", "event_time", f"t_event_time < {floor}", f"after {_FIRST_CHAIN}"),
            Rule(
                "known_before_event",
                "known_at",
                "t_known_at < t_event_time",
                "known_at >= event_time",
                ("event_time",),
            ),
        ]
    return rules
