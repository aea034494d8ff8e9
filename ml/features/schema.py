"""The declared features: name, type, meaning, bounds and the SQL expression, in one place.

What is here: ``FEATURES`` and its fingerprint. What is not: the joins that supply the expressions' aliases
(`ml.features.query`), tables (`ml.features.build`) and checks (`orchestration.features.checks`).

The concept. Every price enters as a gap to the base b, the index's mean for the token at that moment
(docs/domain.md, section 5.2), so that one model serves collections of any price level. ``base_log`` itself is a key
column, not a feature. A model stores ``fingerprint()`` and refuses to score features of another one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json

from ml.features.owners import OWNER_SHRINK_DEALS

#: Raised when the joins behind the expressions, or the way in which models take the features, change meaning.
REVISION = 3


@dataclasses.dataclass(frozen=True)
class Feature:
    """One model input.

    Attributes:
        name: column in features.sale_features and features.token_features.
        group: index, market_state, recent_sales, surprise, market, token, owner, rarity, trait_residuals or
            listings.
        expression: SQL over the aliases of ``query`` (spine, state, trail, market, own, dealings, traits,
            trait_effects, asking, bidding).
        description: its meaning, with its unit; ln prices are of ETH.
        nullable: whether it may be missing, and then it means that nothing was known.
        low: smallest possible value.
        high: largest believable value; a row beyond is a failed check, not a clipped value.
        dtype: SQL type.
    """

    name: str
    group: str
    expression: str
    description: str
    nullable: bool = False
    low: float = -30.0
    high: float = 30.0
    dtype: str = "FLOAT"


def _gap(name: str, price: str, description: str) -> Feature:
    return Feature(name, "market_state", f"ln(state.{price}) - spine.a_mean", f"ln({description}) - base")


def _days(later: str, earlier: str) -> str:
    """SQL for ln(1 + days between two timestamps); 0 days when the order is reversed, null when one is missing."""
    elapsed = f"(epoch_us({later}) - epoch_us({earlier})) / 86400e6"
    return f"ln(1 + case when {earlier} < {later} then {elapsed} when {earlier} >= {later} then 0 end)"


_INDEX = (
    Feature("a_level_gap", "index", "spine.a_level - spine.a_mean", "level part of the fast index - base"),
    Feature("a_trait", "index", "spine.a_trait", "trait part of the fast index, ln"),
    Feature("a_token", "index", "spine.a_token", "token part of the fast index, ln"),
    Feature("a_sd", "index", "spine.a_sd", "standard deviation of the fast index's value, ln", low=0.0),
    Feature("a_level_sd", "index", "spine.a_level_sd", "standard deviation of the fast level, ln", low=0.0),
    Feature("b_mean_gap", "index", "spine.b_mean - spine.a_mean", "slow index - base"),
    Feature("b_level_gap", "index", "spine.b_level - spine.a_mean", "level part of the slow index - base"),
    Feature("b_trait", "index", "spine.b_trait", "trait part of the slow index, ln"),
    Feature("b_token", "index", "spine.b_token", "token part of the slow index, ln"),
    Feature("b_level_sd", "index", "spine.b_level_sd", "standard deviation of the slow level, ln", low=0.0),
)

_MARKET_STATE = (
    _gap("med_5_gap", "med_5", "median of the last 5 sales"),
    _gap("med_10_gap", "med_10", "median of the last 10 sales"),
    _gap("med_30_gap", "med_30", "median of the last 30 sales"),
    _gap("med_100_gap", "med_100", "median of the last 100 sales"),
    _gap("p20_20_gap", "p20_20", "20th percentile of the last 20 sales"),
    _gap("p20_50_gap", "p20_50", "20th percentile of the last 50 sales: the floor proxy"),
    _gap("p10_50_gap", "p10_50", "10th percentile of the last 50 sales"),
    _gap("p80_50_gap", "p80_50", "80th percentile of the last 50 sales"),
    _gap("last_gap", "last_price_eth", "last sale"),
    _gap("min_10_gap", "min_10", "lowest of the last 10 sales"),
    Feature(
        "spread_50",
        "market_state",
        "greatest(state.spread_50, 0)",
        "ln of 80th over 10th percentile of 50",
        low=0.0,
    ),
)

_RECENT_SALES = (
    *(
        Feature(
            f"price_{k}_gap",
            "recent_sales",
            f"trail.log_price_{k} - spine.a_mean",
            f"ln price of the sale {k - 1} before the last - base",
            nullable=True,
        )
        for k in range(2, 6)
    ),
    *(
        Feature(
            f"adjusted_{k}_gap",
            "recent_sales",
            f"trail.log_level_{k} + spine.a_trait - spine.a_mean",
            f"ln price of the {k}th last sale with this token's traits in place of its own - base",
            nullable=True,
        )
        for k in range(1, 4)
    ),
)

_SURPRISE = (
    *(
        Feature(
            f"surprise_{n}",
            "surprise",
            f"trail.surprise_{n}",
            f"mean one-step error of the fast index over the last {n} sales, ln",
            nullable=True,
        )
        for n in (3, 5, 10, 30)
    ),
    Feature(
        "surprise_abs_30", "surprise", "trail.surprise_abs_30", "mean absolute error of 30, ln", True, 0.0
    ),
    Feature("surprise_sd_30", "surprise", "trail.surprise_sd_30", "sd of the error of 30, ln", True, 0.0),
)

_MARKET = (
    Feature(
        "log_days_since_sale", "market", _days("spine.as_of", "state.event_time"), "ln(1 + days)", low=0.0
    ),
    Feature(
        "log_span_30",
        "market",
        _days("spine.as_of", "state.started_30_at"),
        "ln(1 + days of 30 sales)",
        True,
        0.0,
    ),
    Feature(
        "log_span_5", "market", _days("spine.as_of", "state.started_5_at"), "ln(1 + days of 5)", True, 0.0
    ),
    Feature("log_sales_1d", "market", "ln(1 + market.sales_1d)", "ln(1 + sales of the last day)", low=0.0),
    Feature("log_sales_7d", "market", "ln(1 + market.sales_7d)", "ln(1 + sales of 7 days)", low=0.0),
    Feature("log_sales_30d", "market", "ln(1 + market.sales_30d)", "ln(1 + sales of 30 days)", low=0.0),
    Feature("log_sales", "market", "ln(spine.prefix)", "ln of the number of sales seen", low=0.0),
    Feature(
        "log_age", "market", _days("spine.as_of", "market.first_sale_at"), "ln(1 + days of trade)", low=0.0
    ),
)

_TOKEN = (
    Feature("own_sales", "token", "coalesce(own.sales, 0)", "sales of this token seen", low=0.0, high=1e6),
    Feature("own_price_gap", "token", "own.log_price - spine.a_mean", "ln of its last price - base", True),
    Feature(
        "own_indexed_gap",
        "token",
        "own.log_price + spine.a_level - own.a_level - spine.a_mean",
        "ln of its last price moved by the level since - base",
        True,
    ),
    Feature("own_surprise", "token", "own.innovation_a", "one-step error at its last sale, ln", True),
    Feature(
        "own_surprise_shrunk", "token", "coalesce(own.innovation_sum, 0) / (coalesce(own.innovations, 0) + 2)",
        "mean one-step error at its sales, shrunk by 2 sales without error, ln",
    ),
    Feature("own_log_days", "token", _days("spine.as_of", "own.known_at"), "ln(1 + days since its sale)", True, 0.0),
)  # fmt: skip

_RARITY = (
    Feature(
        "rarity_pct", "rarity", "traits.rarity_pct", "0 common to 1 rarest; null without traits", True, 0, 1
    ),
    Feature("trait_count", "rarity", "traits.trait_count", "traits of the token", True, 0, 1e4),
)

_OWNER = (
    Feature(
        "owner_sold_surprise", "owner",
        f"coalesce(dealings.sold_surprise, 0) / (coalesce(dealings.sold, 0) + {OWNER_SHRINK_DEALS})",
        "mean one-step error at the owner's past sales in the collection, shrunk by 3 sales, ln",
    ),
    Feature(
        "owner_bought_surprise", "owner",
        f"coalesce(dealings.bought_surprise, 0) / (coalesce(dealings.bought, 0) + {OWNER_SHRINK_DEALS})",
        "the same at the owner's past purchases, ln",
    ),
    Feature("log_owner_sold", "owner", "ln(1 + coalesce(dealings.sold, 0))", "ln(1 + the owner's sales)", low=0.0),
    Feature(
        "log_owner_bought", "owner", "ln(1 + coalesce(dealings.bought, 0))", "ln(1 + the owner's purchases)", low=0.0
    ),
    Feature(
        "owner_bought_log_days", "owner", _days("spine.as_of", "dealings.bought_at"),
        "ln(1 + days since the owner last bought in the collection)", True, 0.0,
    ),
)  # fmt: skip

_TRAIT_RESIDUALS = (
    *(
        Feature(
            f"trait_residual_{name}", "trait_residuals", f"trait_effects.{name}",
            f"{what} of the mean surprises of the token's trait values, each shrunk by 5 sales, ln", True,
        )
        for name, what in (
            ("highest", "highest"), ("lowest", "lowest"), ("mean", "mean"), ("weighted", "mean by information"),
            ("rarest", "that of the rarest"),
        )
    ),
    Feature(
        "log_rarest_sales", "trait_residuals", "ln(1 + trait_effects.rarest_sales)",
        "ln(1 + sales of the rarest trait value seen)", True, 0.0,
    ),
)  # fmt: skip

# Offers older than three days no longer inform the current price.
_ASKED = "case when spine.as_of <= asking.asked_at + interval 3 days then {} end"
_BID = "case when spine.as_of <= bidding.known_at + interval 3 days then {} end"
_LISTINGS = (
    Feature(
        "ask_gap", "listings", _ASKED.format("ln(asking.ask_eth) - spine.a_mean"),
        "ln(20th percentile of the last 20 asks of other tokens) - base", True,
    ),
    Feature(
        "bid_gap", "listings", _BID.format("ln(bidding.bid_eth) - spine.a_mean"),
        "ln(best bid of 3 days on any token of the collection) - base", True,
    ),
    Feature(
        "log_asks", "listings", _ASKED.format("ln(1 + asking.asks)"),
        "ln(1 + asks of 3 days on other tokens)", True, 0.0,
    ),
)  # fmt: skip

FEATURES: tuple[Feature, ...] = (
    *_INDEX,
    *_MARKET_STATE,
    *_RECENT_SALES,
    *_SURPRISE,
    *_MARKET,
    *_TOKEN,
    *_OWNER,
    *_RARITY,
    *_TRAIT_RESIDUALS,
    *_LISTINGS,
)


def fingerprint() -> str:
    """Short hash of everything that gives a feature its meaning."""
    content = [REVISION, *(dataclasses.astuple(feature) for feature in FEATURES)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
