"""The forms of requests and answers, as /openapi.json describes them.

Here: models for the description and for checking what is posted. Answers are sent as stored and are not validated
again on the way; a test compares them with these models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_TOKENS = 1_000
"""Tokens of one batch or portfolio."""

Eth = Annotated[float | None, Field(description="ETH")]
Interval = Annotated[
    tuple[float, float] | None, Field(description="Lower and upper end, ETH; null without one")
]
Timestamp = Annotated[str | None, Field(description="ISO 8601, UTC")]


def _unicode(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("expected text that UTF-8 can write, found half of a surrogate pair") from None
    return text


Name = Annotated[str, Field(min_length=1, max_length=50_000), AfterValidator(_unicode)]


class Answer(BaseModel):
    """What every answer carries."""

    as_of: str = Field(description="The time the answer is for: nothing known later was used. ISO 8601, UTC")
    publication: str = Field(description="Version of the store; all of an answer is from one version")
    age_s: int = Field(description="Age of the data, whole seconds")
    stale: bool = Field(description="Whether they are older than the service level allows")


class TokenRef(BaseModel):
    """One token of a posted list."""

    model_config = ConfigDict(extra="forbid")

    collection: Name = Field(description="Name, contract or slug of the collection")
    token_id: Name = Field(description="Token id")


class TokenList(BaseModel):
    """A posted list of tokens."""

    model_config = ConfigDict(extra="forbid")

    tokens: list[TokenRef] = Field(min_length=1, max_length=MAX_TOKENS)


class Estimate(BaseModel):
    """What a token is worth, or why there is no value."""

    collection: str
    token_id: str
    chain: str | None
    contract: str | None
    estimate_eth: Eth = Field(description="Median price it would trade at, ETH; null: see no_value_reason")
    estimate_wei: str | None = Field(description="The same in wei, exact, to the billion of wei")
    interval_80_eth: Interval
    interval_90_eth: Interval
    expected_eth: Eth = Field(description="Mean rather than median, ETH: what to add up in a portfolio")
    grade: Literal["A", "B", "C", "D"] | None = Field(description="A is surest, by the width of the interval")
    tier: str = Field(description="own_model, pooled, index_rarity or none")
    no_value_reason: str | None
    lowest_ask_eth: Eth = Field(
        description="Floor of the collection: its lowest live ask, ETH; null without one"
    )
    lowest_ask_at: Timestamp = Field(description="When that ask was made. ISO 8601, UTC")
    floor_proxy_eth: Eth = Field(
        description="Stands in for the floor where no asks are known: the 20th percentile of the collection's last 50"
        " sales, each moved to as_of by the price index, ETH"
    )
    last_sale_eth: Eth = Field(description="The token's own last arm's-length price, ETH")
    owner: str | None = Field(description="Address that holds it, lower case")
    model_version: str | None
    prior_version: str | None
    snapshot_id: int | None = Field(description="Lake snapshot the features were read from")
    feature_watermark: Timestamp = Field(description="Arrival of the newest sale that was used")
    as_of: str


class TokenAnswer(Estimate, Answer):
    """One token."""


class Unanswered(BaseModel):
    """Stands in a batch for a token that has no answer."""

    model_config = ConfigDict(extra="allow")

    collection: str
    token_id: str
    problem: str
    detail: str


class BatchAnswer(Answer):
    """Many tokens, in the order asked."""

    estimates: list[Estimate | Unanswered]


class TokenPage(Answer):
    """A page of a collection's tokens."""

    tokens: list[Estimate]
    next_cursor: str | None = Field(description="Hand back as `cursor` for the next page; null on the last")


class PastEstimate(BaseModel):
    """An estimate as it was published."""

    as_of: str
    estimate_eth: Eth
    interval_80_eth: Interval
    expected_eth: Eth
    grade: str | None
    tier: str
    model_version: str | None
    prior_version: str | None


class HistoryPage(Answer):
    """Past estimates, newest first."""

    collection: str
    token_id: str
    history: list[PastEstimate]
    next_cursor: str | None


class Step(BaseModel):
    """One line of an explanation: factors multiply, ETH amounts add up to the estimate."""

    label: str
    kind: str
    factor: float | None
    eth_effect: float


class Explanation(Answer):
    """Why a token has its price."""

    model_config = ConfigDict(extra="allow")

    collection: str
    token_id: str
    estimate_eth: Eth
    interval_80_eth: list[float | None] | None
    steps: list[Step]
    comparables: list[dict[str, Any]]
    consistent: bool = Field(description="Whether the parts add up to the published estimate")
    notes: list[str]


class Effect(BaseModel):
    """What a decision changed, once enough sales came after it."""

    verdict: str = Field(description="helped, hurt or no_difference")
    sales: int = Field(description="Sales after it")
    mdape: float | None = Field(description="Median absolute error after it, fraction of the price")
    median_5_mdape: float | None = Field(description="The same of the median of the last five sales")
    sales_before: int
    mdape_before: float | None
    measured_at: Timestamp


class Decision(BaseModel):
    """What was decided about a model, when, by which rule, and on which numbers."""

    decided_at: Timestamp = Field(description="As-of time: the newest arrival that was known. ISO 8601, UTC")
    about: Literal["collection", "market"] = Field(
        description="Its own model, or the prior and settings that it shares with its market"
    )
    action: str = Field(
        description="promoted, rejected, kept, fell_back, rolled_back, refitted, tuned, not_tuned"
    )
    rule: str | None
    reason: str | None = Field(description="For people, with the numbers that mattered")
    candidate: str | None = Field(description="Model that was judged")
    model_before: str | None = Field(description="Champion until then; null without one")
    effect: Effect | None = Field(description="Measured later; null as long as too few sales came after it")
    numbers: dict[str, Any] = Field(description="Everything measured; errors are mean |log error|")


class Retraining(BaseModel):
    """What a collection needed last, why, and where that stands."""

    kind: str = Field(description="retrain (a new fit) or retune (new settings before the next fit)")
    state: str = Field(description="queued, launched, cooling or done")
    reason: str | None
    priority_eth: Eth = Field(description="Expected excess error of its value: what is trained first, ETH")
    first_seen: Timestamp
    last_seen: Timestamp
    attempts: int
    launched_at: Timestamp
    last_trained: Timestamp
    cooling_until: Timestamp


class Collection(BaseModel):
    """A collection: level, spread, liquidity, models, how right they were, drift and freshness."""

    collection: str = Field(description="Its globally unique name")
    name: str | None
    chain: str | None
    contract: str | None
    slug: str | None
    supply: int | None
    tokens: int
    tokens_valued: int
    value_eth: Eth = Field(description="Sum of the means of its valued tokens, ETH")
    tier: str
    no_value_reason: str | None
    level: dict[str, float | str | None] = Field(
        description="lowest_ask_eth (made at lowest_ask_at) is the floor, floor_proxy_eth stands in for it"
    )
    liquidity: dict[str, float | str | None]
    grades: dict[str, int] = Field(description="Tokens by grade")
    grade: str | None = Field(description="The most frequent grade")
    model: dict[str, str | None]
    recent_error: dict[str, Any] | None = Field(
        description="Error on the newest sales, fractions of the price"
    )
    drift: dict[str, Any] | None
    model_history: list[Decision] = Field(description="Newest decisions first, at most ten of its own")
    retraining: Retraining | None = Field(description="Null when it never needed one out of turn")
    freshness: dict[str, str | None]
    track_record: dict[str, Any] | None = Field(description="Walk-forward errors beside the baselines")
    as_of: str


class CollectionAnswer(Collection, Answer):
    """One collection."""


class CollectionPage(Answer):
    """A page of collections."""

    collections: list[Collection]
    next_cursor: str | None


class PortfolioAnswer(Answer):
    """What tokens are worth together."""

    value_eth: Eth = Field(
        description="Sum of the means of the valued tokens, ETH; null when none has a value"
    )
    interval_80_eth: Interval
    interval_method: str = Field(description="How the interval was made")
    tokens: int
    tokens_valued: int
    without_value: list[dict[str, str | None]]
    positions: list[Estimate]


class WalletAnswer(PortfolioAnswer):
    """The tokens of an address, and what they are worth together."""

    address: str
    complete: bool = Field(description="False when it holds more tokens than are valued in one answer")


class AccuracyAnswer(Answer):
    """How right estimates have been."""

    walk_forward: dict[str, Any] | None
    recent: dict[str, Any] | None
    error_buckets: list[dict[str, Any]]


class StatusAnswer(Answer):
    """How fresh everything is, and whether promises are kept."""

    store: dict[str, Any]
    estimates: dict[str, Any]
    sources: list[dict[str, Any]]
    service_levels: list[dict[str, Any]]
    drift: dict[str, int]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Ready(Health):
    """The process has something to answer with."""

    publication: str
    age_s: int
    stale: bool


class ProblemDocument(BaseModel):
    """Problem details (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str = Field(description="What was expected, what was found and what to do")
