"""What the columns of a file are.

Here: the result of recognising a file. Not here: the choice (`sources.files.recognition`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plan:
    """What the columns of a file are.

    Attributes:
        table: Raw table it holds.
        kind: What it is, for people.
        columns: Role → column of the file.
        constants: Role → value for every row.
        price_currency: Currency of the prices, where the file or a column's name says it for all rows.
        native_currency: Whether prices are in the chain's own coin.
        prefix: Put before each collection's name.
        trait_column: Column that is a trait of the token, besides the table's own rows.
        known_contracts_only: Whether rows of contracts that no other file knows are refused.
        summed: Columns that together are the price in base units.
        places: Decimal places from the prices' base unit to the currency, where a column's name says it.
        attributes: Column whose cells are lists of traits.
        wide: Column → the trait, or currency, whose values it holds.
    """

    table: str
    kind: str
    columns: dict[str, str]
    constants: dict[str, str] = field(default_factory=dict)
    price_currency: str | None = None
    native_currency: bool = False
    prefix: str = ""
    trait_column: str | None = None
    known_contracts_only: bool = False
    summed: tuple[str, ...] = ()
    places: int | None = None
    attributes: str | None = None
    wide: Mapping[str, str] = field(default_factory=dict)

    @property
    def used(self) -> set[str]:
        """Columns of the file that have a role."""
        more = (c for c in (self.trait_column, self.attributes) if c)
        return {*self.columns.values(), *self.summed, *self.wide, *more}
