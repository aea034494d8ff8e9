"""The slow oracle of the features: plain pandas over raw frames, by the definition of each feature."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd

from ml.features.listings import LAST_ASKS


class Oracle:
    """Features by plain pandas from raw frames: filter what was visible, then compute."""

    def __init__(self, con: duckdb.DuckDBPyConnection, sales: pd.DataFrame, listings: pd.DataFrame) -> None:
        index = con.execute("select * from features.hedonic_index").df()
        self.sales = index.merge(
            sales[["sale_id", "tx_hash", "event_time", "price_eth", "buyer", "seller"]], on="sale_id"
        )
        self.sales = self.sales.sort_values(["collection", "seq"])
        self.listings = listings
        self.tokens = (
            con.execute(
                "select collection, token_id, rarity_pct, trait_count::double as trait_count, trait_codes,"
                " trait_information from marts.dim_tokens"
            )
            .df()
            .set_index(["collection", "token_id"])
        )

    def features(self, spine: pd.Series, tx_hash: str | None) -> dict[str, float]:
        s, as_of, base = self.sales, spine.as_of, spine.a_mean
        seen = s[(s.collection == spine.collection) & (s.known_at < as_of) & (s.tx_hash != tx_hash)]
        price, logs = seen.price_eth.to_numpy(), np.log(seen.price_eth.to_numpy())
        surprise = seen.innovation_a.to_numpy()
        levels = logs - seen.a_trait.to_numpy()
        own = seen[seen.token_id == spine.token_id]

        def days(time: pd.Timestamp) -> float:
            return float(np.log1p(max((as_of - time).total_seconds(), 0) / 86400))

        def within(d: int) -> float:
            return float(np.log1p((seen.known_at >= as_of - timedelta(days=d)).sum()))

        def back(values: np.ndarray, k: int) -> float:
            return float(values[-k]) if len(values) >= k else np.nan

        def mean(values: np.ndarray) -> float:
            values = values[~np.isnan(values)]
            return float(values.mean()) if len(values) else np.nan

        out = {
            "a_level_gap": spine.a_level - base,
            "a_trait": spine.a_trait,
            "a_token": spine.a_token,
            "a_sd": spine.a_sd,
            "a_level_sd": spine.a_level_sd,
            "b_mean_gap": spine.b_mean - base,
            "b_level_gap": spine.b_level - base,
            "b_trait": spine.b_trait,
            "b_token": spine.b_token,
            "b_level_sd": spine.b_level_sd,
            "last_gap": logs[-1] - base,
            "min_10_gap": logs[-10:].min() - base,
            "spread_50": np.log(np.quantile(price[-50:], 0.8) / np.quantile(price[-50:], 0.1)),
            "log_days_since_sale": days(seen.event_time.iloc[-1]),
            "log_span_30": days(seen.event_time.iloc[-30]) if len(seen) >= 30 else np.nan,
            "log_span_5": days(seen.event_time.iloc[-5]) if len(seen) >= 5 else np.nan,
            "log_sales_1d": within(1),
            "log_sales_7d": within(7),
            "log_sales_30d": within(30),
            "log_sales": np.log(len(seen)),
            "log_age": days(seen.event_time.iloc[0]),
            "own_sales": len(own),
            "own_price_gap": np.log(own.price_eth.iloc[-1]) - base if len(own) else np.nan,
            "own_indexed_gap": np.log(own.price_eth.iloc[-1]) + spine.a_level - own.a_level.iloc[-1] - base
            if len(own)
            else np.nan,
            "own_surprise": own.innovation_a.iloc[-1] if len(own) else np.nan,
            "own_surprise_shrunk": own.innovation_a.sum() / (own.innovation_a.count() + 2),
            "own_log_days": days(own.known_at.iloc[-1]) if len(own) else np.nan,
            "surprise_abs_30": mean(np.abs(surprise[-30:])),
            "surprise_sd_30": pd.Series(surprise[-30:]).std(),
        }
        for n in (5, 10, 30, 100):
            out[f"med_{n}_gap"] = np.log(np.median(price[-n:])) - base
        for name, n, q in (
            ("p20_20", 20, 0.2),
            ("p20_50", 50, 0.2),
            ("p10_50", 50, 0.1),
            ("p80_50", 50, 0.8),
        ):
            out[f"{name}_gap"] = np.log(np.quantile(price[-n:], q)) - base
        for k in range(2, 6):
            out[f"price_{k}_gap"] = back(logs, k) - base
        for k in range(1, 4):
            out[f"adjusted_{k}_gap"] = back(levels, k) + spine.a_trait - base
        for n in (3, 5, 10, 30):
            out[f"surprise_{n}"] = mean(surprise[-n:])
        token = self.tokens.loc[(spine.collection, spine.token_id)]
        out["rarity_pct"], out["trait_count"] = token.rarity_pct, token.trait_count
        out |= self.owner(seen, spine.seller, days) | self.trait_residuals(seen, token)
        return out | self.offers(spine.collection, spine.token_id, as_of, base)

    def owner(self, seen: pd.DataFrame, wallet: str | None, days: Callable[..., float]) -> dict[str, float]:
        sold, bought = seen[seen.seller == wallet], seen[seen.buyer == wallet]

        def shrunk(deals: pd.DataFrame) -> float:
            return deals.innovation_a.clip(-0.6, 0.6).sum() / (len(deals) + 3)

        return {
            "owner_sold_surprise": shrunk(sold),
            "owner_bought_surprise": shrunk(bought),
            "log_owner_sold": np.log1p(len(sold)),
            "log_owner_bought": np.log1p(len(bought)),
            "owner_bought_log_days": days(bought.known_at.max()) if len(bought) else np.nan,
        }

    def trait_residuals(self, seen: pd.DataFrame, token: pd.Series) -> dict[str, float]:
        known = seen[seen.innovation_a.notna()]
        traits = self.tokens.loc[list(zip(known.collection, known.token_id, strict=True))].trait_codes
        surprise = known.innovation_a.clip(-0.6, 0.6).to_numpy()
        found, sales = [], []
        for place, code in enumerate(token.trait_codes):
            shared = np.array([len(codes) > place and codes[place] == code for codes in traits], bool)
            found.append(surprise[shared].sum() / (shared.sum() + 5))
            sales.append(shared.sum())
        names = ("highest", "lowest", "mean", "weighted", "rarest")
        if not found:
            return {f"trait_residual_{name}": np.nan for name in names} | {"log_rarest_sales": np.nan}
        information = np.asarray(token.trait_information, float)
        rarest = int(np.argmax(information))
        weighted = np.dot(found, information) / information.sum()
        values = (max(found), min(found), np.mean(found), weighted, found[rarest])
        return {f"trait_residual_{name}": v for name, v in zip(names, values, strict=True)} | {
            "log_rarest_sales": np.log1p(sales[rarest])
        }

    def offers(self, collection: str, token: str, as_of: pd.Timestamp, base: float) -> dict[str, float]:
        o = self.listings
        o = o[(o.collection == collection) & (o.event_kind == "created") & (o.known_at < as_of)]
        asks = o[(o.side == "ask") & (o.token_id != token)].sort_values(["known_at", "order_id"])
        bids = o[(o.side == "bid") & o.token_id.isna()]
        fresh = as_of - timedelta(days=3)
        asked = len(asks) > 0 and asks.known_at.max() >= fresh
        bid = len(bids) > 0 and bids.known_at.max() >= fresh
        bids = bids[bids.known_at >= bids.known_at.max() - timedelta(days=3)]
        return {
            "ask_gap": np.log(asks.price_eth.tail(LAST_ASKS).quantile(0.2)) - base if asked else np.nan,
            "bid_gap": np.log(bids.price_eth.max()) - base if bid else np.nan,
            "log_asks": np.log1p((asks.known_at >= fresh).sum()) if asked else np.nan,
        }
