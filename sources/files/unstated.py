"""What the names of a file's columns do not say, where their values say it: the chain, and the currency of the prices.

Here: mints of Solana, contracts of Tezos, a column of currencies under a name that we do not know, a rate that is
called as a price is. Not here: what names say (`sources.files.recognition`), and what a row states (`sources.values`).
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from sources.chains import CHAINS
from sources.currencies import SYMBOL_BY_SPELLING
from sources.files.aliases import plain_name
from sources.files.errors import MissingColumnError
from sources.files.plan import Plan
from sources.files.reading.tables import ROW
from sources.values import NULL_WORDS, connect, is_text, quote_name

_BASE58 = r"^[1-9A-HJ-NP-Za-km-z]{32,44}$"
_KINDS = (
    ("solana", "token_id", _BASE58, "ids are mints of Solana: chain solana"),
    ("tezos", "contract", r"^KT1[1-9A-HJ-NP-Za-km-z]{33}$", "contracts are of Tezos: chain tezos"),
)

_NO_CURRENCIES = {"USD", *(chain.name.upper() for chain in CHAINS)}
_CURRENCIES = pa.array(
    word for word, symbol in SYMBOL_BY_SPELLING.items()
    if not {word, symbol} & _NO_CURRENCIES and not word.startswith(("0X000", "0XEEE"))
)  # fmt: skip
"""Words that name a currency and nothing else: no chain (Ethereum), no second price (USD), no account (0x0)."""
_LOOKED_AT = 10_000
_MOST = 0.8
_NEAR = 0.05


def with_chain(plan: Plan, rows: pa.Table) -> tuple[Plan, tuple[str, ...]]:
    """The plan with the chain that all ids, or contracts, of the file can only be of; and a word on it."""
    if "chain" in plan.columns or "chain" in plan.constants:
        return plan, ()
    for chain, role, pattern, note in _KINDS:
        if role in plan.columns and _all_are(rows.column(plan.columns[role]), pattern):
            return replace(plan, constants={**plan.constants, "chain": chain}), (note,)
    return plan, ()


def with_currency(plan: Plan, rows: pa.Table, file: str) -> tuple[Plan, tuple[str, ...]]:
    """The plan with the column of currencies, where most values of one that has no role are words for such.

    Without it prices would be taken for ether, whatever they were paid in.

    Raises:
        MissingColumnError: If several columns fit and differ.
    """
    stated = {"currency", "currency_address"} & plan.columns.keys()
    if plan.table not in ("sales", "listings") or stated or plan.price_currency or plan.native_currency:
        return plan, ()
    unused = [
        n for n in rows.column_names if n != ROW and n not in plan.used and is_text(rows.column(n).type)
    ]
    found = [n for n in unused if _names_currencies(rows.column(n))]
    if not found:
        return plan, ()
    if any(not rows.column(n).equals(rows.column(found[0])) for n in found[1:]):
        raise MissingColumnError(
            f"{file}: expected one column with the currency of the price, found {', '.join(found)}; name it in"
            " assay.yaml"
        )
    return replace(plan, columns={**plan.columns, "currency": found[0]}), (
        f"{found[0]} is the currency of prices",
    )


def without_rate(plan: Plan, rows: pa.Table) -> tuple[Plan, tuple[str, ...]]:
    """The plan with `price` as the price, where `eth_price` beside it is the rate that makes it `price_usd`."""
    names = {plain_name(n): n for n in rows.column_names}
    rate, usd, price = plan.columns.get("price"), plan.columns.get("usd"), names.get("price")
    if rate is None or usd is None or price is None or not plain_name(rate).endswith("_price"):
        return plan, ()
    with connect() as con:
        con.register("src", rows.slice(0, _LOOKED_AT))
        r, u, p = (f"try_cast({quote_name(n)} as double)" for n in (rate, usd, price))
        near = con.execute(
            f"select median(abs({r} * {p} / {u} - 1)) < {_NEAR} from src where {u} > 0 and {p} > 0"
        ).fetchone()
    if not (near and near[0]):
        return plan, ()
    note = f"{rate} is a rate: {price} times it is {usd}"
    return replace(plan, columns={**plan.columns, "price": price}, price_currency=None), (note,)


def _names_currencies(column: pa.ChunkedArray) -> bool:
    words = pc.utf8_upper(pc.utf8_trim_whitespace(column.slice(0, _LOOKED_AT).drop_null()))
    words = words.filter(pc.invert(pc.is_in(words, pa.array(["", *(w.upper() for w in NULL_WORDS)]))))
    known = pc.sum(pc.is_in(words, _CURRENCIES)).as_py() or 0
    return bool(len(words)) and known >= _MOST * len(words)


def _all_are(column: pa.ChunkedArray, pattern: str) -> bool:
    """Whether all values are such; an address of upper and lower case letters is never a number or hex."""
    if not is_text(column.type) or not len(column):
        return False
    values = column.drop_null()
    # The first rows decide it for nearly all files.
    for part in (values.slice(0, 100), values):
        fits = pc.match_substring_regex(pc.utf8_trim_whitespace(part), pattern)
        mixed = pc.and_(pc.match_substring_regex(part, "[G-Z]"), pc.match_substring_regex(part, "[g-z]"))
        if not len(part) or not pc.all(pc.and_(fits, mixed)).as_py():
            return False
    return True
