"""The form of a wallet's gains, as /openapi.json describes it. Other answers are in `serving.api.models`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from serving.api.models import Answer, Eth, Interval, Timestamp

Wei = Annotated[str | None, Field(description="Wei, a whole number as text; null when unknown")]


class Position(BaseModel):
    """A token held, amounts of all units: cost, value, gain, or the reason why there is none."""

    collection: str
    token_id: str
    quantity: int
    acquired_at: Timestamp = Field(
        description="When the newest lot came; null when no row shows it. ISO 8601, UTC"
    )
    acquisition_tx_hash: str | None = Field(
        description="Transaction that brought it, or was first to show it"
    )
    basis_status: Literal["known", "minted", "carried", "airdropped", "unknown"]
    unknown_basis_reason: str | None
    cost_wei: Wei
    cost_eth: Eth
    cost_usd: float | None = Field(description="Cost in US dollars at the rate of the acquisition")
    value_eth: Eth = Field(description="Mean, ETH")
    interval_80_eth: Interval
    grade: str | None
    no_value_reason: str | None
    gain_eth: Eth = Field(
        description="Value less cost, ETH; null: see no_gain_reason, never 0 for an unknown one"
    )
    no_gain_reason: str | None


class Unrealized(BaseModel):
    """Gains of what is held, of the positions that have both a cost and a value."""

    gain_eth: Eth
    interval_80_eth: Interval
    interval_method: str
    tokens: int = Field(description="Positions in the sum")
    value_eth: Eth
    cost_eth: Eth
    tokens_without_cost: int
    tokens_without_value: int


class RealizedSum(BaseModel):
    """Gains of what was sold, where cost and proceeds are known."""

    sales: int
    sales_without_gain: int = Field(description="Of these, sales whose gain is not known; they are in no sum")
    gain_wei: Wei
    gain_eth: Eth
    gain_usd: float | None


class RealizedYear(RealizedSum):
    """Of one year (UTC)."""

    year: int


class Realized(RealizedSum):
    """Of all years."""

    disposals: int = Field(description="Units given away by lot: sold, sent, burned or unseen")
    by_year: list[RealizedYear]


class Disposal(BaseModel):
    """Units given away, from one lot."""

    collection: str
    token_id: str
    quantity: int
    kind: Literal["sold", "sent", "burned", "unseen"]
    acquired_at: Timestamp
    disposed_at: Timestamp
    holding_days: int | None
    cost_wei: Wei
    proceeds_wei: Wei
    fees_wei: Wei
    gain_wei: Wei
    gain_eth: Eth
    gain_usd: float | None
    basis_status: str
    no_gain_reason: str | None
    acquisition_tx_hash: str | None
    disposal_tx_hash: str | None


class WalletGainsAnswer(Answer):
    """Cost and gains of an address, first in, first out."""

    address: str
    method: Literal["fifo"]
    complete: bool = Field(description="False when it holds more tokens than are listed and summed")
    tokens: int = Field(description="Tokens held")
    unrealized: Unrealized
    realized: Realized
    positions: list[Position]
    disposals_complete: bool = Field(
        description="False when only the newest disposals are listed; sums have all"
    )
    disposals: list[Disposal]
