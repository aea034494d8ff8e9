"""Rates of the folder: one asset for each symbol.

Here: separating two assets under one symbol, and a symbol with two rates at once. Not here: converting prices (the
marts do), checking prices by rates (`sources.files.price_checks`).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from sources.chains import CHAIN_BY_SPELLING, COIN_OF
from sources.currencies import SYMBOL_BY_SPELLING
from sources.files.refusals import Refusal, refuse
from sources.values import ZERO_ADDRESS, connect

_SAME = 1.5
_TWO_RATES = 3.0


@dataclass(frozen=True)
class _Asset:
    symbol: str
    chain: str | None
    contract: str | None
    rate: float

    @property
    def is_the_known_one(self) -> bool:
        """Whether its contract is the one we know for the symbol, or it is a chain's own coin."""
        if self.contract in (None, ZERO_ADDRESS, "native", ""):
            chain = CHAIN_BY_SPELLING.get((self.chain or "ethereum").lower(), "")
            return self.chain is None or COIN_OF.get(chain) == self.symbol
        return SYMBOL_BY_SPELLING.get(str(self.contract).upper()) == self.symbol

    @property
    def own_symbol(self) -> str:
        """A symbol that no other asset has."""
        return f"{self.symbol}@{self.chain or 'ethereum'}:{self.contract or 'native'}".upper()


def with_distinct_symbols(rates: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rates in which a symbol is one asset.

    Of several contracts under one symbol the known one keeps it, and the others get a symbol with their contract in it:
    no sale is in that by accident. When none is known and their rates differ, which is meant is not certain: all are
    refused. So are two rates of one symbol at one time that differ more than threefold.

    Args:
        rates: Typed rows of `exchange_rates` with `_rate_chain` and `_rate_contract`.

    Returns:
        Rates that are kept, and refused rows (see `refusals.refuse`).
    """
    renamed, unclear = _assets(rates)
    expected = "one asset for a symbol, known by its contract"
    rates = rates.set_column(rates.schema.get_field_index("symbol"), "symbol", renamed)
    kept, refused = refuse("exchange_rates", rates, unclear, Refusal("ambiguous_rate", "symbol", expected))
    with connect() as con:
        con.register("kept", kept)
        twice = con.execute(
            f"""select max(rate) over same > {_TWO_RATES} * min(rate) over same as wrong
            from (select *, row_number() over () as n from kept)
            window same as (partition by symbol, quote, granularity, event_time) order by n"""
        ).to_arrow_table()
    kept, more = refuse(
        "exchange_rates",
        kept,
        twice.column("wrong"),
        Refusal("ambiguous_rate", "rate", "one rate for a symbol at a time"),
    )
    return kept, pa.concat_tables([refused, more])


def _assets(rates: pa.Table) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The symbol of each row as it is to be, and whether its asset is not certain."""
    with connect() as con:
        con.register("rates", rates)
        con.execute(
            "create temp table r as select symbol, lower(trim(_rate_chain)) as chain,"
            " lower(trim(_rate_contract)) as contract, rate, row_number() over () as n from rates"
        )
        rows = con.execute("select symbol, chain, contract, median(rate) from r group by all").fetchall()
        assets = [_Asset(*row) for row in rows]
        renames, unclear = [], []
        for asset in assets:
            others = [a for a in assets if a.symbol == asset.symbol and a is not asset]
            known = any(a.is_the_known_one for a in others)
            impostor = asset.contract is not None and asset.chain == "ethereum" and _has_address(asset.symbol)
            if asset.is_the_known_one or not (others or impostor):
                continue
            if known or impostor:
                renames.append(asset)
            elif any(_differ(asset.rate, a.rate) for a in others):
                unclear.append(asset)
        con.register(
            "judged",
            pa.table(
                {
                    "symbol": pa.array([a.symbol for a in renames + unclear], pa.string()),
                    "chain": pa.array([a.chain for a in renames + unclear], pa.string()),
                    "contract": pa.array([a.contract for a in renames + unclear], pa.string()),
                    "own": pa.array(
                        [a.own_symbol for a in renames] + [a.symbol for a in unclear], pa.string()
                    ),
                    "unclear": pa.array([False] * len(renames) + [True] * len(unclear), pa.bool_()),
                }
            ),
        )
        read = con.execute(
            """select coalesce(j.own, r.symbol) as symbol, coalesce(j.unclear, false) as unclear
            from r left join judged j on r.symbol = j.symbol and r.chain is not distinct from j.chain
                and r.contract is not distinct from j.contract order by r.n"""
        ).to_arrow_table()
    return read.column("symbol"), read.column("unclear")


def named_by_rates(rows: pa.Table, rates: pa.Table) -> pa.Table:
    """Rows whose currency is an address, with the symbol that the rates have for the contract on the row's chain."""
    column = rows.column("currency").cast(pa.string())
    if not pc.any(pc.starts_with(pc.fill_null(column, ""), "0X"), min_count=0).as_py():
        return rows
    with connect() as con:
        con.register("rates", rates.select(["symbol", "_rate_contract", "_rate_chain"]))
        con.register("rows", pa.table({"chain": rows.column("chain").cast(pa.string()), "currency": column}))
        con.execute("create temp table numbered as select *, row_number() over () as n from rows")
        known = con.execute(
            """with named as (
                select upper(trim(_rate_contract)) as address, lower(trim(coalesce(_rate_chain, 'ethereum'))) as chain,
                    min(symbol) as symbol
                from rates where _rate_contract is not null group by all having count(distinct symbol) = 1
            )
            select coalesce(named.symbol, r.currency) as currency
            from numbered as r left join named on r.currency = named.address and r.chain = named.chain order by r.n"""
        ).to_arrow_table()
    at = rows.schema.get_field_index("currency")
    return rows.set_column(at, "currency", known.column("currency").cast(pa.string()).dictionary_encode())


def _has_address(symbol: str) -> bool:
    return any(s.startswith("0X") and len(s) == 42 and t == symbol for s, t in SYMBOL_BY_SPELLING.items())


def _differ(one: float, other: float) -> bool:
    return max(one, other) > _SAME * min(one, other)


def symbols_of(rates: pa.Table) -> list[str]:
    """Symbols that a rate is known for."""
    return [s for s in pc.unique(rates.column("symbol")).to_pylist() if s is not None]
