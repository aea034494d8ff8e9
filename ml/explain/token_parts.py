"""Tokens of one collection priced again by the models of their estimates, and each price split into parts.

Here: reading the features, pricing, and collecting the parts of index and models. Not here: each part's arithmetic
(`ml.explain.index_parts`, `ml.explain.model_parts`), or what an explanation shows (`ml.explain.explain`).
"""

from __future__ import annotations

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.compute.matrix import column, matrix
from ml.explain.components import RARITY, Part
from ml.explain.index_parts import index_parts, read_remembered, trait_shares, weights_of_sales
from ml.explain.model_parts import local_parts, pooled_parts
from ml.explain.models_used import ModelsUsed
from ml.explain.traits import TokenTraits
from ml.index.params import IndexParams
from ml.models.frames import FeatureSet
from ml.models.local import LocalInputs
from ml.models.traits import TraitLists
from ml.pricing.models import RowIntervals
from ml.pricing.price import Prices, PricingInputs, price
from ml.pricing.tiers import TierChoices
from ml.states import Tier


def read_token_features(con: duckdb.DuckDBPyConnection, collection: str, features: FeatureSet) -> pa.Table:
    """The collection's token features with an index, sorted by token id; empty where there are none."""
    names = "".join(f', t."{name}"' for name in dict.fromkeys((*features.names, "a_trait", "a_token")))
    return con.execute(
        f"""
        select t.token_id, t.as_of, t.state_known_at, t.prefix, t.base_log,
            coalesce(d.trait_values, []) as trait_values {names}
        from features.token_features as t
        inner join marts.dim_tokens as d on t.collection = d.collection and t.token_id = d.token_id
        where t.collection = $1 and t.base_log is not null
        order by t.token_id
        """,
        [collection],
    ).to_arrow_table()


class TokenView:
    """Tokens with features, in the order of their ids, and the index's parts of each."""

    def __init__(self, traits: TokenTraits, table: pa.Table) -> None:
        self.traits, self.table = traits, table
        self.base_log, self.trait_log = column(table, "base_log"), column(table, "a_trait")
        self.own_log = column(table, "a_token")
        self.level_log = self.base_log - self.trait_log - self.own_log
        self.prefix = int(table["prefix"][0].as_py())


def price_tokens(
    collection: str,
    used: ModelsUsed,
    view: TokenView,
    at: npt.NDArray[np.int64],
    floor_log: float,
    features: FeatureSet,
    threads: int,
) -> tuple[PricingInputs, Prices]:
    """The tokens at these rows of the view, priced by the models of the stored estimates.

    The floor (ln ETH, NaN without) and the state of the intervals are those of scoring: by them a price is implausible.
    """
    n, table = len(at), view.table.take(pa.array(at))
    market = np.full(n, used.lake.market.get(collection, ""), dtype=object)
    inputs = PricingInputs(
        collection=np.full(n, collection, dtype=object),
        market=market,
        base_log=column(table, "base_log"),
        floor_log=np.full(n, floor_log),
        rarity=view.traits.rarity_pct[at],
        features=matrix(table, features.names),
        traits=TraitLists.of(table["trait_values"], {collection: tuple(view.traits.types)}),
    )
    own = used.champion is not None and used.weight > 0.0
    tier = Tier.POOLED if used.tier == Tier.OWN and not own else used.tier
    choices = TierChoices(
        np.full(n, tier, dtype=object),
        np.full(n, used.prior_version, dtype=object),
        np.full(n, None, dtype=object),
        {collection: used.champion} if used.champion is not None else {},
    )
    intervals = RowIntervals.of_markets(used.lake.calibrations, market)
    return inputs, price(inputs, choices, used.lake.models, intervals, features, threads)


def token_parts(
    con: duckdb.DuckDBPyConnection,
    collection: str,
    used: ModelsUsed,
    view: TokenView,
    at: npt.NDArray[np.int64],
    inputs: PricingInputs,
    prices: Prices,
    features: FeatureSet,
    params: IndexParams,
    threads: int,
) -> tuple[list[Part], bool]:
    """All parts of the tokens at these rows of the view, and whether traits were split."""
    remembered = read_remembered(con, collection, view.prefix, view.traits, params)
    shares = None
    if remembered is not None:
        alpha = weights_of_sales(remembered, view.traits, params)
        shares = trait_shares(remembered, alpha, view.traits, params)
    parts, split = index_parts(view.base_log, view.trait_log, view.own_log, shares, view.traits, at)
    traits, models = view.traits.subset(at), used.lake.models
    if used.tier == Tier.INDEX:
        if np.any(prices.adjustment_log != 0.0):
            label = "Rarity, as seen in hardly traded collections"
            parts.append(Part.shared(RARITY, label, prices.adjustment_log))
    elif used.prior_version is not None:
        prior = models.prior(used.prior_version)
        parts += pooled_parts(prior, inputs.features, prices.adjustment_log, features, threads)
    if used.weight and used.champion is not None and not prices.refused:
        positions = [features.names.index(name) for name in features.local_names]
        seen = LocalInputs(
            features.local_names, inputs.features[:, positions], inputs.traits.of_collection(collection)
        )
        booster = models.booster(str(used.champion.local_sha))
        parts += local_parts(booster, used.weight, seen, prices.residual_log, traits, threads)
    return parts, split
