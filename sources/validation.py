"""Validation of raw rows: those that keep the raw contract go on, the others go to quarantine with a reason.

Here: the split. Not here: the rules (`sources.rules`), how they are run (`sources.judging`), judging quarantined rows
again (`sources.replay`), nor how a file's columns get their contract names (`sources.files.candidates`). Zero prices
and missing prices are facts and pass; the marts exclude them by rule.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import QUARANTINE, TIMESTAMP, RawTable, raw_table
from sources.instants import read_times
from sources.judging import judge
from sources.protocol import SourceBatch
from sources.rules import Rule, rules_of
from sources.values import connect, is_text, quote_name

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
    "undone": "an event that was taken back, or whose transaction failed",
    "not_a_token": "a contract that no other file knows as one of tokens",
    "malformed_hex": "an address or hash of the wrong length or alphabet",
    "out_of_range": "a number outside its range",
    "nul_character": "a text that holds the character NUL",
    "not_utf8": "bytes that are not UTF-8 text",
    "wrong_field_count": "a CSV line with more or fewer fields than the header",
    "unreadable_file": "a file that cannot be read at all",
    "undecodable_log": "a log that does not hold what its event promises",
    "unreadable_metadata": "what a token says of itself is no metadata, or must not be asked for",
    "no_single_price": "a trade without one price in one currency: a swap, several currencies, an unknown bid",
}
"""Machine words used in `raw.quarantine.reason`."""


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
    judged = judge(contract, candidate, given, rules, now=now)
    schema = pa.schema([*contract.schema, *(candidate.schema.field(name) for name in keep)])
    good = judged.values
    for name in keep:
        good = good.append_column(candidate.schema.field(name), candidate.column(name))
    if judged.broken is None:
        return SourceBatch(good.cast(schema), QUARANTINE.schema.empty_table())
    wrong = pc.is_valid(judged.broken)
    good = good.filter(pc.invert(wrong)).cast(schema)
    known = judged.values.column("known_at")
    bad = candidate.append_column("_broken", judged.broken)
    bad = bad.append_column("_known_at", known.cast(TIMESTAMP)).filter(wrong)
    with connect() as con:
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
            candidate = candidate.set_column(where, column.name, read_times(texts).moments)
            name = f"_given_{column.name}"
            if column.name not in given:
                candidate = candidate.append_column(name, texts)
                given[column.name] = name
    return candidate, given


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
    with connect() as con:
        con.register("rows", rows)
        return (
            con.execute(
                """select md5(coalesce(source_row, '') || ':' || reason) as quarantine_id,
                    $table_name as table_name, coalesce(source, 'unknown') as source,
                    coalesce(source_row, 'unknown') as source_row, reason, column_name, expected,
                    replace(found, chr(0), '\\0') as found, payload, known_at, 'open' as status from rows""",
                {"table_name": table},
            )
            .to_arrow_table()
            .cast(QUARANTINE.schema)
        )
