"""The prices of a file's rows: the number, its currency, and a second price to check it by.

Here: `1,204.50 ETH ($3,000)`, decimal commas, base units. Not here: which column is the price
(`sources.files.recognition`), and rates (`sources.files.price_checks`). Two things are decided by all prices of a file
together: the decimal mark, and whether a currency's prices are in base units.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from sources.chains import CHAIN_BY_SPELLING, COIN_OF
from sources.currencies import DECIMALS, MAX_PRICE, SYMBOL_BY_SPELLING
from sources.files.plan import Plan
from sources.values import ZERO_ADDRESS, cleaned, connect, is_text, quote, quote_name

_PLAIN = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_GROUPED = r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?"
_DECIMAL_COMMA = r"[+-]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]+)(,[0-9]+)?"
# A comma that three digits do not follow, or that stands after a point, is a decimal mark; so is one after a lone 0.
_SURELY_COMMA = r"[+-]?([0-9]*,([0-9]{1,2}|[0-9]{4,})|0,[0-9]+|[0-9]{1,3}(\.[0-9]{3})+,[0-9]+)"
_SURELY_POINT = (
    r"[+-]?([0-9]{1,3}(,[0-9]{3})+\.[0-9]+|[0-9]{1,3}(,[0-9]{3}){2,}"
    r"|[0-9]*\.([0-9]{1,2}|[0-9]{4,})|0\.[0-9]+)"
)
_NO_CONTRACT = (ZERO_ADDRESS, "0x" + "e" * 40, "native")
"""Addresses that stand for a chain's own coin, whatever it is."""
_PARTS = "([^0-9+.,(-]*)([+-]?[0-9.,][0-9.,''’_ \u00a0\u202f]*(?:[eE][+-]?[0-9]+)?) *([^0-9(]*)(?:\\(.*\\))?"


@dataclass(frozen=True)
class Money:
    """Columns of prices.

    Attributes:
        price: Price as a number, or as text that one can be read from, or as it was when none can.
        currency: Currency as it is written, null where nothing says it.
        usd: The second price in USD, where there is one.
        delivered: The column the price was read from.
        notes: What was decided about the column, for people.
    """

    price: pa.ChunkedArray
    currency: pa.ChunkedArray
    usd: pa.ChunkedArray | None
    delivered: str
    notes: tuple[str, ...] = ()


def money_of(plan: Plan, rows: pa.Table, *, chain: str, default_currency: str) -> Money:
    """The prices of the rows of a file.

    Args:
        plan: What its columns are.
        rows: The file's rows.
        chain: Chain of rows that do not say theirs.
        default_currency: Currency of prices in a file that has no word on it, on a chain whose coin it is.
    """
    with connect() as con:
        con.register("src", rows)
        spelling = ", ".join(f"{quote(k)}: {quote(v)}" for k, v in SYMBOL_BY_SPELLING.items())
        decimals = ", ".join(f"{quote(k)}: {v}" for k, v in DECIMALS.items())
        most = ", ".join(f"{quote(k)}: {v!r}::double" for k, v in MAX_PRICE.items())
        chains = ", ".join(f"{quote(k)}: {quote(v)}" for k, v in CHAIN_BY_SPELLING.items())
        literals = (("spelling", spelling), ("decimals", decimals), ("most", most), ("chains", chains))
        for name, literal in literals:
            con.execute(f"set variable {name} = map {{{literal}}}")
        is_raw = "price" not in plan.columns
        texts = _text_columns(plan)
        numbers = {r: plan.columns[r] for r in ("price", "usd") if r in texts and not _is_text(plan, rows, r)}
        for role in numbers:
            texts.pop(role)
        beside = ", ".join(
            ["row_number() over () as n", *(f"src.{quote_name(n)} as {r}" for r, n in numbers.items())]
        )
        con.execute(f"create temp table words as {cleaned('src', texts, beside=beside)}")
        mark = _decimal_mark(con, [c for c in ("price", "usd") if c in texts])
        price, unit = "price" if "price" in numbers else "null::varchar", "null::varchar"
        if "price" in texts:
            price, unit = _number("price", mark)
        currency = _currency(plan, unit, chain, default_currency)
        raw = _raw_price(plan, texts) if is_raw else price
        usd = _number("usd", mark)[0] if "usd" in texts else "usd" if "usd" in numbers else "null::varchar"
        con.execute(f"create temp table paid as select *, {currency} as paid_in, {usd} as in_usd from words")
        con.execute(f"create temp table priced as select n, paid_in, in_usd, {raw} as price from paid")
        scaled, notes = _scale_base_units(con) if not is_raw else ("price", [])
        read = con.execute(
            f"select {scaled} as price, paid_in as currency, try_cast(in_usd as double) as usd from priced order by n"
        ).to_arrow_table()
    if mark == ",":
        notes.append("decimal commas")
    delivered = plan.columns.get("price") or plan.columns.get("price_raw") or plan.summed[0]
    return Money(
        read.column("price"),
        read.column("currency").cast(pa.string()),
        read.column("usd") if "usd" in plan.columns else None,
        delivered,
        tuple(notes),
    )


def rates_of(rates: pa.ChunkedArray) -> pa.ChunkedArray:
    """Rates to the dollar: texts such as `$3,000.00` as a number each, others as they are; so is another currency's."""
    if not is_text(rates.type):
        return rates
    with connect() as con:
        con.register("src", pa.table({"given": rates}))
        con.execute(
            f"create temp table words as {cleaned('src', {'rate': 'given'}, beside='row_number() over () as n')}"
        )
        number, unit = _number("rate", _decimal_mark(con, ["rate"]))
        dollars = ", ".join(quote(k) for k, v in SYMBOL_BY_SPELLING.items() if v in ("USD", "USDC", "USDT"))
        read = f"case when coalesce(upper({unit}) in ({dollars}), true) then {number} else rate end"
        return con.execute(f"select {read} as rate from words order by n").to_arrow_table().column("rate")


def _is_text(plan: Plan, rows: pa.Table, role: str) -> bool:
    return is_text(rows.schema.field(plan.columns[role]).type)


def _text_columns(plan: Plan) -> dict[str, str]:
    roles = ("price", "price_raw", "usd", "currency", "currency_address", "decimals", "chain")
    texts = {r: f"src.{quote_name(plan.columns[r])}::varchar" for r in roles if r in plan.columns}
    for i, name in enumerate(plan.summed):
        texts[f"part_{i}"] = f"src.{quote_name(name)}::varchar"
    return texts


def _decimal_mark(con: duckdb.DuckDBPyConnection, columns: list[str]) -> str:
    """The decimal mark of a file's prices: "," or "." when some number says so for certain; empty when none does."""
    marks = set()
    for column in columns:
        row = con.execute(
            f"""select coalesce(bool_or(regexp_full_match(x, '{_SURELY_COMMA}')), false),
                coalesce(bool_or(regexp_full_match(x, '{_SURELY_POINT}')), false)
            from (select regexp_replace({column}, '\\(.*\\)|[^0-9.,+-]', '', 'g') as x from words)
            where contains(x, ',') or contains(x, '.')"""
        ).fetchone()
        assert row is not None
        marks |= {mark for mark, stated in zip(",.", row, strict=True) if stated}
    return marks.pop() if len(marks) == 1 else "." if marks else ""


def _number(column: str, mark: str) -> tuple[str, str]:
    """SQL of the number's text in a cell (the cell as it is when there is none), and of the unit beside it."""
    number = f"regexp_replace(regexp_extract({column}, '^{_PARTS}$', 2), '[ ’_\u00a0\u202f'']', '', 'g')"
    unit = f"nullif(trim(regexp_extract({column}, '^{_PARTS}$', 1) || regexp_extract({column}, '^{_PARTS}$', 3)), '')"
    if mark == ",":
        read = (
            f"case when regexp_full_match({number}, '{_DECIMAL_COMMA}')"
            f" then replace(replace({number}, '.', ''), ',', '.') else {column} end"
        )
        plain = r"[+-]?[0-9]+"
    else:
        # 1,204 alone is a thousand and more, or one and a bit: it is read where another number shows the mark.
        once = "" if mark else f" and not regexp_full_match({number}, '[0-9]+,[0-9]+')"
        read = (
            f"case when regexp_full_match({number}, '{_PLAIN}') then {number}"
            f" when regexp_full_match({number}, '{_GROUPED}'){once} then replace({number}, ',', '') else {column} end"
        )
        plain = _PLAIN
    simple = f"regexp_full_match({column}, '{plain}')"
    return (
        f"case when {simple} then {column} else {read} end",
        f"case when not {simple} then {unit} end",
    )


def _currency(plan: Plan, unit: str, chain: str, default_currency: str) -> str:
    """SQL: a unit beside the number, else the column's name, else the currency columns, else the chain's coin."""
    own = "getvariable('chains')[regexp_replace(lower(chain), '[ _]+', '-', 'g')]"
    here = quote(plan.constants.get("chain", chain))
    where = f"coalesce({own}, {here})" if "chain" in plan.columns else here
    if plan.price_currency is not None:
        return f"coalesce({unit}, {quote(plan.price_currency)})"
    coins = ", ".join(f"{quote(k)}: {quote(v)}" for k, v in COIN_OF.items())
    coin = f"map {{{coins}}}[{where}]"
    if plan.native_currency:
        return f"coalesce({unit}, {coin})"
    stated = [c for c in ("currency", "currency_address") if c in plan.columns]
    if stated:
        # A currency that only has an address is the chain's own coin where it has none.
        paid = f"coalesce({', '.join([unit, *stated, *([coin] if stated == ['currency_address'] else [])])})"
        return (
            f"case when lower({paid}) in ({', '.join(map(quote, _NO_CONTRACT))}) then {coin} else {paid} end"
        )
    # Without a word on it a price is in ether where ether is the coin; on Polygon and its like it may be in either.
    own_coin = f"case when list_contains(['MATIC', 'BNB', 'AVAX'], {coin}) then null else {coin} end"
    return f"coalesce({unit}, case when {where} = {quote(chain)} then {quote(default_currency)} else {own_coin} end)"


def _raw_price(plan: Plan, texts: dict[str, str]) -> str:
    """SQL of a price from base units: by the row's decimals, else by those of the currency; else it is not read."""
    parts = [f"part_{i}" for i in range(len(plan.summed))] or ["price_raw"]
    total = " + ".join(f"coalesce(try_cast({p} as double), 0)" for p in parts)
    places = "getvariable('decimals')[getvariable('spelling')[upper(paid_in)]]"
    if plan.places is not None:
        places = str(plan.places)
    elif "decimals" in texts:
        places = f"coalesce(try_cast(try_cast(decimals as double) as integer), {places})"
    given = f"{parts[0]} is not null"
    readable = f"try_cast({parts[0]} as double) is not null and {places} is not null"
    value = f"(({total}) / power(10, {places}))::varchar"
    return (
        f"case when not ({given}) then null when {readable} then {value} else {parts[0]} || ' base units' end"
    )


def _scale_base_units(con: duckdb.DuckDBPyConnection) -> tuple[str, list[str]]:
    """SQL of the price, whole columns of base units divided; and a note for each such currency.

    A currency's prices are base units when all are whole and most are larger than any price can be.
    """
    rows = con.execute(
        """select symbol, count(*) from (
            select getvariable('spelling')[upper(paid_in)] as symbol, try_cast(price as double) as p from priced)
        where p > 0 and symbol is not null group by symbol
        having bool_and(p = floor(p)) and count_if(p > getvariable('most')[symbol]) * 2 > count(*)"""
    ).fetchall()
    symbols = sorted(symbol for symbol, _ in rows)
    if not symbols:
        return "price", []
    listed = "[" + ", ".join(quote(s) for s in symbols) + "]"
    symbol = "getvariable('spelling')[upper(paid_in)]"
    value = f"(try_cast(price as double) / power(10, getvariable('decimals')[{symbol}]))::varchar"
    sql = f"case when list_contains({listed}, {symbol}) then coalesce({value}, price::varchar) else price::varchar end"
    return sql, [f"prices in {s} are in base units: divided by 10^{DECIMALS[s]}" for s in symbols]
