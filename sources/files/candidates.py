"""From a file's columns to candidate rows of the raw contract.

Here: putting what `times`, `money` and the plan say side by side. Not here: judging the rows (`sources.validation`
does, and sees values it cannot read as they were written), nor what needs the other files: the collection a row
belongs to (`sources.files.identity`) and the key of a sale (`sources.files.keys`). Columns that begin with "_" carry
to those what they need.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import raw_table
from sources.distinct import words
from sources.files.events import market_of, undone
from sources.files.money import money_of, rates_of
from sources.files.plan import Plan
from sources.files.reading.tables import PART, ROW
from sources.files.times import clocks_of
from sources.values import connect, is_text, quote, quote_name

_EVENTS = ("_label", "_chain_given", "_has_tx", "_has_log", "_has_sub", "_undone")

KEPT: dict[str, tuple[str, ...]] = {
    "sales": (*_EVENTS, "_usd", "_no_sale", "_row"),
    "transfers": (*_EVENTS, "_known_only", "_row"),
    "listings": ("_label", "_chain_given"),
    "token_traits": ("_label", "_chain_given", "_undated"),
    "collections": ("_label", "_chain_given", "_undated"),
    "exchange_rates": ("_rate_chain", "_rate_contract"),
    "blocks": (),  # no file has them
}
"""Table → columns that go on beside the contract's."""

_SELDOM = (
    "event_time",
    "known_at",
    "valid_until",
    "date",
    "time_of_day",
    "precision",
    "event",
    "usd",
    "price",
)
_CLEANED = (
    "collection", "contract", "chain", "tx_hash", "log_index", "sub_index", "event", "sale_type", "seller",
    "known_at",
)  # fmt: skip


@dataclass(frozen=True)
class Candidates:
    """Rows of one file that may become raw rows.

    Attributes:
        rows: Contract columns (as delivered, times and prices read), `KEPT`, and for the payload the other
            columns of the file.
        originals: Contract column → column that holds it as it was delivered.
        notes: What was decided about whole columns, for people.
    """

    rows: pa.Table
    originals: dict[str, str]
    notes: tuple[str, ...]


def candidates_of(
    plan: Plan,
    rows: pa.Table,
    file: str,
    source: str,
    *,
    now: datetime,
    chain: str,
    default_currency: str,
    zone: str | None = None,
) -> Candidates:
    """Candidate rows of the plan's raw table, in file order.

    Args:
        plan: What the file's columns mean.
        rows: The file's rows with `ROW`.
        file: File name, for `source_row`.
        source: Who says so, where the file does not say.
        now: Instant at which the files are read (UTC, naive).
        chain: Chain of rows that do not say theirs.
        default_currency: Currency of prices in a file that has no word on it.
        zone: Zone of times that name none; None: UTC.
    """
    clocks = clocks_of(plan, rows, zone)
    originals, notes = dict(clocks.originals), list(clocks.notes)
    columns = _common(plan, rows, source, chain)
    added = dict(clocks.added)
    columns |= clocks.sql
    if "price" in plan.columns or "price_raw" in plan.columns or plan.summed:
        money = money_of(plan, rows, chain=chain, default_currency=default_currency)
        added |= {"_read_price": money.price, "_read_currency": money.currency}
        columns |= {"price_native": "_read_price", "currency": "_read_currency"}
        originals["price_native"] = money.delivered
        notes += money.notes
        if money.usd is not None:
            added["_read_usd"] = money.usd
            columns["_usd"] = "_read_usd"
        if "currency" not in plan.columns:
            added["_given_currency"] = money.currency
            originals["currency"] = "_given_currency"
        else:
            originals["currency"] = plan.columns["currency"]
    if plan.table == "exchange_rates":
        added["_read_rate"] = rates_of(rows.column(plan.columns["rate"]))
        columns["rate"], originals["rate"] = "_read_rate", plan.columns["rate"]
    columns |= _of_table(plan, now)
    for name in KEPT[plan.table]:
        columns.setdefault(name, _nothing(name))
    for name, column in added.items():
        rows = rows.append_column(name, column)
    taken = {c.lower() for c in columns}
    extras = {
        n: quote_name(n)
        for n in rows.column_names
        if n.lower() not in taken and n not in (ROW, PART) and n not in added
    }
    # What was delivered is kept under its own name as long as no contract column is called so.
    for column, name in list(originals.items()):
        if name not in extras:
            extras[f"_given_{column}"] = quote_name(name)
            originals[column] = f"_given_{column}"
    with connect() as con:
        clean = words(con, {r: rows.column(n) for r, n in plan.columns.items() if r in _CLEANED})
        for role, column in clean.items():
            rows = rows.append_column(f"_w_{role}", column)
        # Columns that go on as they are do not pass through the database.
        kept = {quote_name(n): n for n in rows.column_names} | {f"_w_{role}": f"_w_{role}" for role in clean}
        made = {name: sql for name, sql in (columns | extras).items() if sql not in kept}
        con.register("src", rows)
        part = f" || '#' || {quote_name(PART)}" if PART in rows.column_names else ""
        origin = f"{quote(file + ':')} || {quote_name(ROW)}{part} as _source_row"
        selected = ", ".join(f"{sql} as {quote_name(name)}" for name, sql in made.items())
        computed = con.execute(f"select {selected} from (select *, {origin} from src)").to_arrow_table()
    read = pa.table(
        {
            name: computed.column(name) if name in made else rows.column(kept[sql])
            for name, sql in (columns | extras).items()
        }
    )
    return Candidates(read, {c: n for c, n in originals.items() if n in read.column_names}, tuple(notes))


def _nothing(name: str) -> str:
    kinds = {
        "_usd": "double",
        "_label": "varchar",
        "_row": "bigint",
        "_rate_chain": "varchar",
        "_rate_contract": "varchar",
    }
    return f"null::{kinds[name]}" if name in kinds else "false"


def _common(plan: Plan, rows: pa.Table, source: str, chain: str) -> dict[str, str]:
    """SQL of every contract column that is read or fixed without thought."""
    names = set(raw_table(plan.table).names)
    columns = {r: quote_name(n) for r, n in plan.columns.items() if r not in _SELDOM and r in names}
    columns |= {r: quote(v) for r, v in plan.constants.items() if r in names}
    columns["source_row"] = "_source_row"
    # A file that names no source is its own source: two files may then report the same sale.
    own = quote(source)
    columns["source"] = (
        f"coalesce({quote_name(plan.columns['source'])}::varchar, {own})" if "source" in plan.columns else own
    )
    if plan.table == "exchange_rates":
        columns["quote"] = columns.get("quote", "'USD'")
        for role in ("rate_chain", "rate_contract"):
            if role in plan.columns:
                columns[f"_{role}"] = f"{quote_name(plan.columns[role])}::varchar"
        return columns
    constant = quote(plan.constants.get("chain", chain))
    given = "chain" in plan.columns
    columns["chain"] = f"coalesce(_w_chain, {constant})" if given else constant
    columns["_chain_given"] = "_w_chain is not null" if given else str("chain" in plan.constants).lower()
    label = "null::varchar"
    if "collection" in plan.columns:
        label = f"{quote(plan.prefix)} || _w_collection" if plan.prefix else "_w_collection"
    contract = "_w_contract" if "contract" in plan.columns else "null::varchar"
    if "collection" in plan.columns and _may_be_addresses(rows.column(plan.columns["collection"])):
        # A "name" that is an address is the contract.
        is_address = f"coalesce(regexp_full_match({label}, '0x[0-9a-fA-F]{{40}}'), false)"
        if "contract" not in plan.columns:
            columns["contract"] = f"case when {is_address} then {label} end"
        label = f"case when not {is_address} then {label} end"
        contract = columns.get("contract", contract)
    columns["_label"] = label
    columns["collection"] = (
        label if contract == "null::varchar" else f"coalesce({label}, {contract}::varchar)"
    )
    return columns


def _may_be_addresses(names: pa.ChunkedArray) -> bool:
    return is_text(names.type) and bool(
        pc.any(pc.match_substring_regex(names, "^ *0[xX]"), min_count=0).as_py()
    )


def _of_table(plan: Plan, now: datetime) -> dict[str, str]:
    columns: dict[str, str] = {}
    if plan.table in ("sales", "transfers"):
        columns |= _log_columns(plan)
        columns["finalized"] = "true"
        columns["_row"] = quote_name(ROW)
        columns["_undone"] = undone(plan)
    if plan.table == "sales":
        if "is_bundle_share" not in plan.columns:
            count = quote_name(plan.columns["n_in_tx"]) if "n_in_tx" in plan.columns else "null::varchar"
            columns["is_bundle_share"] = f"coalesce(try_cast({count} as double) > 1, false)"
        columns |= market_of(plan)
    if plan.table == "transfers":
        columns["_known_only"] = str(plan.known_contracts_only).lower()
    if plan.table in ("token_traits", "collections"):
        # Known when its collection first occurs, which needs the other files: until then, now.
        given = "_w_known_at is not null" if "known_at" in plan.columns else "false"
        read = "_read_known_at" if "known_at" in plan.columns else "null::timestamp"
        columns["known_at"] = f"case when {given} then {read} else timestamp {quote(str(now))} end"
        columns["_undated"] = f"not ({given})"
    if plan.table == "listings":
        if "event_kind" not in plan.columns:
            columns["event_kind"] = "'created'"
        if "order_id" not in plan.columns:
            columns["order_id"] = "'row:' || _source_row"
    return columns


def _log_columns(plan: Plan) -> dict[str, str]:
    """The key of the event as far as the row says it; `keys` fills in the rest."""
    has = {
        role: f"_w_{role} is not null" if role in plan.columns else "false"
        for role in ("tx_hash", "log_index", "sub_index")
    }
    row = "'row:' || _source_row"
    return {
        "tx_hash": f"coalesce(_w_tx_hash, {row})" if "tx_hash" in plan.columns else row,
        "log_index": "coalesce(_w_log_index, '0')" if "log_index" in plan.columns else "0::bigint",
        "sub_index": "coalesce(_w_sub_index, '0')" if "sub_index" in plan.columns else "0::bigint",
        "_has_tx": has["tx_hash"],
        "_has_log": has["log_index"],
        "_has_sub": has["sub_index"],
    }
