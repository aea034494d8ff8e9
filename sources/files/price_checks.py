"""Prices checked by what stands beside them: the rates, a second price, the other prices of the collection.

Here: which prices are refused for it. Not here: reading prices (`sources.files.money`), and what is a market price
(the marts).
"""

from __future__ import annotations

import pyarrow as pa

from sources.currencies import DECIMALS, MAX_PRICE, SYMBOL_BY_SPELLING
from sources.files.refusals import Refusal, refuse
from sources.values import connect, quote

_MOST_OFF = 3.0
_RATE_AGE_DAYS = 7
# An accepted bid is logged with a price of nothing, or of one wei: no price to compare.
_DUST = 1e-15
_SCALE = 1000.0
_ETHER = "case when currency in ('WETH', 'BETH') then 'ETH' else currency end"


def check_prices(
    table: str, rows: pa.Table, rates: pa.Table, symbols: list[str]
) -> tuple[pa.Table, pa.Table]:
    """Refuse prices in an unknown currency, off their second price, or in base units among whole units.

    Args:
        table: `sales` or `listings`.
        rows: Typed rows, `_usd` beside them where there is a second price.
        rates: Typed rates.
        symbols: Symbols that a rate is known for.

    Returns:
        Rows that are kept, and refused rows (see `refusals.refuse`).
    """
    refused = []
    known = "[" + ", ".join(quote(s) for s in sorted({*MAX_PRICE, *symbols})) + "]"
    rows, out = refuse(
        table,
        rows,
        _ask(rows, rates, f"select not list_contains({known}, currency) as wrong from numbered order by n"),
        Refusal("unknown_currency", "currency", "a currency we can name, or one that the rates know"),
    )
    refused.append(out)
    if table != "sales" or not rows.num_rows:
        return rows, pa.concat_tables(refused)
    rows, out = refuse(
        table,
        rows,
        _ask(rows, rates, _IMPOSTORS),
        Refusal("unknown_currency", "currency_address", "the contract that the currency's symbol stands for"),
    )
    refused.append(out)
    checks = [
        (_BASE, Refusal("base_units", "price_native", "a price in whole units, as the collection's others"))
    ]
    if rows.column("_usd").null_count < rows.num_rows:
        expected = "within a factor of 3 of the price in USD beside it"
        checks.insert(0, (_OFF, Refusal("price_disagrees", "price_native", expected)))
    for query, why in checks if rates.num_rows else ():
        rows, out = refuse(table, rows, _ask(rows, rates, query, rated=True), why)
        refused.append(out)
    return rows, pa.concat_tables(refused)


def _ask(rows: pa.Table, rates: pa.Table, query: str, *, rated: bool = False) -> pa.ChunkedArray:
    with connect() as con:
        wanted = ("chain", "collection", "event_time", "price_native", "currency", "currency_address", "_usd")
        con.register("rows", rows.select([c for c in wanted if c in rows.column_names]))
        con.register("rates", rates)
        con.execute("create temp table numbered as select *, row_number() over () as n from rows")
        if rated:
            con.execute(_RATED)
        return con.execute(query).to_arrow_table().column("wrong")


_DECIMALS = "map {" + ", ".join(f"{quote(k)}: {v}" for k, v in DECIMALS.items()) + "}"
_ADDRESSES = (
    "map {"
    + ", ".join(f"{quote(s.lower())}: {quote(t)}" for s, t in SYMBOL_BY_SPELLING.items() if s[:2] == "0X")
    + "}"
)
_WITH_ADDRESS = (
    "[" + ", ".join(sorted({quote(t) for s, t in SYMBOL_BY_SPELLING.items() if s[:2] == "0X"})) + "]"
)

# A token of any name can call itself ETH; only Ethereum's contracts are known to us.
_IMPOSTORS = f"""
    select chain = 'ethereum' and regexp_full_match(currency_address, '0x[0-9a-f]{{40}}')
        and list_contains({_WITH_ADDRESS}, currency)
        and {_ADDRESSES}[currency_address] is null as wrong
    from numbered order by n"""

_RATED = f"""
    create temp table by_time as
        select symbol, event_time, median(rate) as rate from (
            select {_ETHER.replace("currency", "symbol")} as symbol, event_time, rate,
                symbol = 'WETH' and bool_or(symbol = 'ETH') over () as is_second from rates where rate > 0
        ) where not is_second group by all;

    create temp table paid as
        select n, collection::varchar as collection, price_native, currency::varchar as currency, _usd, event_time,
            {_ETHER}::varchar as symbol
        from numbered where price_native > {_DUST} and event_time is not null;

    create temp table rated as
        select paid.*, case when paid.symbol = 'USD' then 1.0
            when paid.event_time - by_time.event_time <= interval {_RATE_AGE_DAYS} day then by_time.rate end as rate
        from paid asof left join by_time on paid.symbol = by_time.symbol and paid.event_time >= by_time.event_time"""

_OFF = f"""
    with off as (
        select n, price_native * rate / _usd as ratio from rated where _usd > 0 and rate is not null
    )
    select coalesce(off.ratio > {_MOST_OFF} or off.ratio < 1 / {_MOST_OFF}, false) as wrong
    from numbered left join off using (n) order by n"""

_BASE = f"""
    with valued as (
        select n, collection, price_native, price_native * rate as usd, {_DECIMALS}[currency] as places from rated
        where rate is not null
    ),
    beside as (select *, median(usd) over (partition by collection) as middle from valued),
    wrong as (
        select n from beside
        where places >= 6 and price_native = floor(price_native) and usd > {_SCALE} * middle
            and usd / power(10, places) between middle / {_SCALE} and middle * {_SCALE}
    )
    select wrong.n is not null as wrong from numbered left join wrong using (n) order by n"""
