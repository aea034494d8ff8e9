"""The currencies we can name: symbols, aliases, decimals and the largest price, as data.

Here: what a currency symbol in a payload may look like and what it means. Not here: exchange rates (they are
data, `raw.exchange_rates`), nor conversion (the marts). A symbol that is neither here nor among the rates that a user
gave is unknown and goes to quarantine: never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Currency:
    """One currency.

    Attributes:
        symbol: The symbol the raw contract uses.
        decimals: Decimal places of the base unit.
        max_price: No single price can be larger, in units. It catches base units (wei) that were taken for whole
            units: the dearest token ever sold brought 92 million dollars, and a punk was lent to its own owner for
            124,457 ETH.
        aliases: Other spellings seen in sources (compared in upper case).
    """

    symbol: str
    decimals: int
    max_price: float
    aliases: tuple[str, ...] = ()


CURRENCIES: tuple[Currency, ...] = (
    # "ETH?" and "WETH?": the source did not say, its venue had no other currency at the time.
    Currency(
        "ETH",
        18,
        1e6,
        (
            "ETH?", "ETHER", "ETHEREUM", "Ξ", "0X0000000000000000000000000000000000000000",
            "0XEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEE", "ETHEREUM:0X0000000000000000000000000000000000000000",
        ),
    ),
    Currency(
        "WETH",
        18,
        1e6,
        ("WETH?", "WRAPPED ETHER", "WRAPPED ETH", "0XC02AAA39B223FE8D0A0E5C4F27EAD9083C756CC2"),
    ),
    Currency("BETH", 18, 1e6, ("BLUR POOL", "BLURETH", "0X0000000000A39BB272E79075ADE125FD351887AC")),
    Currency("USD", 2, 2e8, ("US$", "$", "US DOLLAR", "DOLLAR", "USDOLLAR")),
    Currency("USDC", 6, 2e8, ("USDC?", "USD COIN", "0XA0B86991C6218B36C1D19D4A2E9EB0CE3606EB48")),
    Currency("USDT", 6, 2e8, ("TETHER", "TETHER USD", "0XDAC17F958D2EE523A2206206994597C13D831EC7")),
    Currency("DAI", 18, 2e8, ("DAI?", "DAI STABLECOIN", "0X6B175474E89094C44DA98B954EEDEAC495271D0F")),
    Currency("MANA", 18, 1e9, ("DECENTRALAND MANA", "0X0F5D2FB29FB7D3CFEE444A200298F468908CC942")),
    Currency("SAND", 18, 1e9, ("THE SANDBOX", "0X3845BADADE8E6DFF049820680D1F14BD3903A5D0")),
    Currency("APE", 18, 1e9, ("APECOIN", "0X4D224452801ACED8B2F0AEBE155379BB5D594381")),
    Currency("WAXP", 8, 1e8, ("WAX",)),
    Currency("SOL", 9, 1e7, ("SOLANA",)),
    Currency("MATIC", 18, 1e9, ("POL", "POLYGON", "WMATIC", "WPOL", "WRAPPED MATIC")),
    Currency("BNB", 18, 1e6, ("WBNB",)),
    Currency("AVAX", 18, 1e7, ("WAVAX",)),
    Currency("BTC", 8, 1e5, ("XBT", "BITCOIN")),
    Currency("XTZ", 6, 1e8, ("TEZ", "TEZOS")),
)  # fmt: skip

SYMBOL_BY_SPELLING: dict[str, str] = {
    spelling.upper(): c.symbol for c in CURRENCIES for spelling in (c.symbol, *c.aliases)
}
"""Every known spelling in upper case → contract symbol."""

DECIMALS: dict[str, int] = {c.symbol: c.decimals for c in CURRENCIES}
"""Contract symbol → decimal places of its base unit."""

MAX_PRICE: dict[str, float] = {c.symbol: c.max_price for c in CURRENCIES}
"""Contract symbol → the largest price."""
