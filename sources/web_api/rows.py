"""From items of an API to rows of the raw contract.

Here: values named by paths, currencies, what goes to quarantine. Not here: reading values, which is done as for files
(`sources.files.candidates`), and the rules of the contract (`sources.validation`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa

from sources.chains import CHAIN_BY_SPELLING, COIN_OF, EVM_CHAINS
from sources.contract import QUARANTINE, TIMESTAMP, raw_table
from sources.currencies import DECIMALS, SYMBOL_BY_SPELLING
from sources.files.candidates import KEPT, candidates_of
from sources.files.plan import Plan
from sources.files.reading.tables import ROW
from sources.protocol import SourceBatch
from sources.validation import quarantine, validate
from sources.values import NULL_WORDS, ZERO_ADDRESS
from sources.web_api.paths import text_at
from sources.web_api.store import Item

Values = dict[str, str | None]
"""Role of `sources.files.aliases` → what was delivered."""

_NATIVE = (ZERO_ADDRESS, "0x" + "e" * 40)
_MOST_DECIMALS = 77


@dataclass(frozen=True)
class Fields:
    """Where the values of a row are.

    Attributes:
        table: Raw table.
        columns: Role → path in an item.
        constants: Role → value of every row.
    """

    table: str
    columns: Mapping[str, str]
    constants: Mapping[str, str] = field(default_factory=dict)

    def values(self, item: Item) -> Values:
        """The values of one item."""
        found: Values = {role: text_at(item.body, path) for role, path in self.columns.items()}
        return {**found, **self.constants}


@dataclass(frozen=True)
class Record:
    """One row before it is judged.

    Attributes:
        row: Names it in its source.
        known: From when it is known (microseconds).
        values: Its values.
        refused: Reason, column, what was expected and found, where it is known to be none.
    """

    row: str
    known: int
    values: Values
    refused: tuple[str, str, str, str] | None = None


def record_of(item: Item, values: Values, **more: str | None) -> Record:
    """The row of one item; `more` values count before those of the item."""
    return Record(f"{item.stream}:{item.key}:{item.digest[:8]}", item.known, {**values, **more})


def paid_in(values: Values, default_chain: str) -> Values:
    """The same values with the currency that its contract says, and an amount that can only be read in one way.

    Anybody can call a token WETH. On Ethereum a contract that we do not know is an unknown currency, whatever it is
    called; on other chains, whose contracts we do not know, the name counts, but never that of the chain's own coin.
    """
    chain = _chain(values.get("chain"), default_chain)
    symbol, address = values.get("currency"), (values.get("currency_address") or "").lower()
    coin = COIN_OF.get(chain)
    if address in _NATIVE:
        symbol, address = coin, ""
    elif address and chain in EVM_CHAINS and not re.fullmatch("0x[0-9a-f]{40}", address):
        symbol = f"contract {address}"
    elif address:
        known = SYMBOL_BY_SPELLING.get(address.upper())
        named = SYMBOL_BY_SPELLING.get((symbol or "").upper())
        if known is not None:
            symbol = known
        elif chain == "ethereum" or symbol is None or named == coin:
            symbol = address
    result = {**values, "currency": symbol, "currency_address": address or None}
    if "price_raw" in values:
        result |= _amount(values, SYMBOL_BY_SPELLING.get((symbol or "").upper()), chain)
    return result


def _amount(values: Values, symbol: str | None, chain: str) -> Values:
    raw, decimals = values.get("price_raw"), values.get("decimals")
    if symbol is not None and (chain == "ethereum" or decimals is None):
        decimals = str(DECIMALS[symbol])
    if raw is not None and not re.fullmatch("[0-9]{1,78}", raw):
        raw = f"no whole number: {raw}"
    elif raw is not None and decimals is not None and not _is_decimals(decimals):
        raw = f"{raw} with {decimals} decimals"
    return {"price_raw": raw, "decimals": decimals}


def _is_decimals(text: str) -> bool:
    return re.fullmatch("[0-9]{1,2}", text) is not None and int(text) <= _MOST_DECIMALS


def _chain(stated: str | None, default: str) -> str:
    words = re.sub("[ _]+", "-", (stated or "").strip().lower())
    if not words or words in NULL_WORDS:
        return default
    return CHAIN_BY_SPELLING.get(words, words)


def batch_of(
    table: str, records: Iterable[Record], *, source: str, chain: str, now: datetime
) -> SourceBatch | None:
    """Rows judged by the raw contract; None when there is nothing.

    Args:
        table: Raw table.
        records: Rows.
        source: Name of the kind of source.
        chain: Chain of rows that name none.
        now: Events after this time are in the future (UTC, naive).
    """
    listed = sorted(records, key=lambda r: (r.known, r.row))
    if not listed:
        return None
    refused = [r for r in listed if r.refused is not None]
    good = [r for r in listed if r.refused is None]
    rejected = [_refused(table, refused, source)] if refused else []
    rows = raw_table(table).schema.empty_table()
    if good:
        roles = sorted({role for r in good for role in r.values})
        columns = {role: pa.array([r.values.get(role) for r in good], pa.string()) for role in roles}
        columns["known_at"] = pa.array([r.known for r in good], pa.int64()).cast(TIMESTAMP)
        columns[ROW] = pa.array([r.row for r in good], pa.string())
        read = candidates_of(
            Plan(table, source, {role: role for role in (*roles, "known_at")}),
            pa.table(columns),
            source,
            source,
            now=now,
            chain=chain,
            default_currency=COIN_OF.get(chain, "ETH"),
        )
        judged = validate(
            table,
            read.rows,
            now=now,
            undated_known_at=now,
            originals=read.originals,
            keep=KEPT[table],
        )
        rows = judged.rows.select(list(raw_table(table).names))
        rejected.append(judged.rejected)
    return SourceBatch(rows, pa.concat_tables([QUARANTINE.schema.empty_table(), *rejected]))


def _refused(table: str, records: Sequence[Record], source: str) -> pa.Table:
    reasons, columns, expected, found = zip(*(r.refused for r in records if r.refused), strict=True)
    return quarantine(
        table,
        source=pa.array([source] * len(records)),
        source_row=pa.array([f"{source}:{r.row}" for r in records]),
        reason=pa.array(reasons),
        column_name=pa.array(columns),
        expected=pa.array(expected),
        found=pa.array(found),
        payload=pa.array([json.dumps(r.values) for r in records]),
        known_at=pa.array([r.known for r in records], pa.int64()).cast(TIMESTAMP),
    )


def moment(micros: int) -> datetime:
    """A time in microseconds as UTC, naive."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC).replace(tzinfo=None)


def time_text(micros: int) -> str:
    """A time in microseconds as text."""
    return moment(micros).isoformat(timespec="microseconds")
