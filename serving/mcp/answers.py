"""The forms of the tools' answers that the API does not have.

Here: models for the output schemas. Not here: the forms shared with the API (`serving.api.models`).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from serving.api.models import Answer, Decision, Eth, PortfolioAnswer, Retraining, Timestamp, WalletAnswer


class Found(BaseModel):
    """A collection as a search shows it."""

    collection: str = Field(description="Its globally unique name: ask the other tools by this")
    name: str | None
    chain: str | None
    contract: str | None
    slug: str | None
    tokens: int
    tokens_valued: int
    value_eth: Eth = Field(description="Sum of the means of its valued tokens, ETH; it has no interval")
    tier: str
    no_value_reason: str | None
    grade: str | None = Field(description="The most frequent grade; A is surest")
    lowest_ask_eth: Eth = Field(description="Its floor: the lowest live ask, ETH; null without one")
    lowest_ask_at: Timestamp = Field(description="When that ask was made. ISO 8601, UTC")
    floor_proxy_eth: Eth = Field(description="Stands in for the floor where no asks are known, ETH")
    sales_30d: int
    as_of: str


class SearchAnswer(Answer):
    """Collections that were found, the most valuable first."""

    collections: list[Found]
    found: int = Field(description="How many were found, also those that are not shown")


class PortfolioValue(PortfolioAnswer):
    """What tokens are worth together; the sum is over all, `positions` shows some."""

    positions_left_out: int = Field(description="Positions that are in the sum and are not shown")


class WalletValue(WalletAnswer, PortfolioValue):
    """What the tokens of an address are worth together."""


class ModelHistory(Answer):
    """Why a collection has the model it has."""

    collection: str
    model: dict[str, str | None] = Field(description="The model that prices it now, and its data's end")
    tier: str = Field(description="own_model, pooled, index_rarity or none")
    model_history: list[Decision] = Field(description="Newest decisions first")
    retraining: Retraining | None = Field(
        description="What it needed last out of turn, why, and where that stands"
    )
    recent_error: dict[str, Any] | None = Field(
        description="Error on the newest sales, fractions of the price"
    )
    drift: dict[str, Any] | None
