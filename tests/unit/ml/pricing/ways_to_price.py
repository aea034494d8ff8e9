"""The four ways in which Assay prices a token: scoring, the backtest, the comparison of champions, the explanation.

Here: each of them on one market, with comparable columns. Not here: the market and the comparison (`test_parity`).
"""

from __future__ import annotations

from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd

from ml.backtest.data import Window, first_rows, microseconds, read_history, read_window_sales
from ml.backtest.parts import BacktestChampion
from ml.backtest.pricing import InForce, price_period
from ml.backtest.prior import mean_correction, predict_history
from ml.compute.backend import ThreadBackend
from ml.explain.explain import explain
from ml.models.frames import FeatureSet
from ml.models.index_fallback import learn_index_fallback
from ml.pricing.scoring import ScoringConfig, score
from ml.pricing.tiers import TierRules
from ml.registry.mirror import read_champions
from ml.retraining.contest import Pricer, read_unseen
from ml.training.walk_forward import Fold
from tests.unit.ml.explain.conftest import CONFIG, NOW, Market

FEATURES = FeatureSet.declared()
AFTER = NOW + timedelta(days=1)


def live(market: Market, rules: TierRules) -> pd.DataFrame:
    with market.lake.write("score") as con:
        score(con, market.artifacts, NOW, 7, config=ScoringConfig(tiers=rules))
    with market.lake.read() as con:
        return con.execute(
            """
            select collection, token_id, tier, no_value_reason, prior_version, estimate_eth,
                lower_80_eth as lower_eth, upper_80_eth as upper_eth, lower_90_eth, upper_90_eth, expected_eth
            from predictions.token_estimates
            where (collection, token_id) in (select (collection, token_id) from marts.fct_sales)
            order by all
            """
        ).df()


def backtested(market: Market, rules: TierRules) -> pd.DataFrame:
    """What the backtest estimates with the models of the lake in force."""
    with market.lake.read() as con:
        start, end = microseconds(NOW), microseconds(AFTER)
        window = Window(NOW, AFTER)
        history = read_history(con, FEATURES, start, end, CONFIG.min_market_sales)
        rows = read_window_sales(con, FEATURES, window, history, ThreadBackend(1))
        folds = _folds(con)
        walked = predict_history(history, folds, CONFIG, market.artifacts)
        champions = {
            key: BacktestChampion(champion, champion.model_version, 0)
            for key, champion in read_champions(con).items()
        }
        known = history.known_before(start)
        learnt = {
            name: learn_index_fallback(
                con,
                first_rows(history.frame, known).rows(history.market[:known] == name),
                CONFIG.index_fallback,
                NOW,
            )
            for name in history.markets
        }
        means = {name: mean_correction(history, walked, name, start, CONFIG) for name in history.markets}
        force = InForce(folds, champions, {k: v for k, v in means.items() if v is not None}, learnt)
        table = price_period(
            con, rows, history, walked, force, FEATURES, CONFIG, rules, market.artifacts, threads=1
        )
    columns = [
        "collection", "token_id", "tier", "no_value_reason", "prior_version", "estimate_eth", "lower_eth", "upper_eth",
        "lower_90_eth", "upper_90_eth", "expected_eth",
    ]  # fmt: skip
    return table.to_pandas()[columns].sort_values(["collection", "token_id"], ignore_index=True)


def _folds(con: duckdb.DuckDBPyConnection) -> dict[str, list[Fold]]:
    found = con.execute(
        "select market, fold, epoch_us(cutoff), sales, prior_sha, scale_sha from ops.prior_folds order by 1, 2"
    ).fetchall()
    folds: dict[str, list[Fold]] = {}
    for row in found:
        folds.setdefault(row[0], []).append(Fold(*row))
    return folds


def compared(market: Market, collection: str) -> pd.Series:
    """What the comparison of champions estimates for a collection with a champion; NaN for what it leaves out."""
    with market.lake.read() as con:
        champion = read_champions(con)[collection]
        sales = read_unseen(con, {collection: NOW - timedelta(seconds=1)}, AFTER, FEATURES, 1000)[collection]
        planted = con.execute(
            """
            select s.token_id, e.no_value_reason is distinct from 'implausible_value'
            from features.sale_features as s
            left join predictions.token_estimates as e on s.collection = e.collection and s.token_id = e.token_id
            where s.collection = $1 and s.sale_id like 'planted-%' order by s.seq
            """,
            [collection],
        ).fetchall()
        tokens = [token for token, is_compared in planted if is_compared]
        estimate = np.exp(Pricer(con, market.artifacts, FEATURES).estimate_log(champion, sales))
    return pd.Series(estimate, pd.Index(tokens)).reindex(sorted(token for token, _ in planted))


def explained(market: Market, collection: str) -> pd.Series:
    with market.lake.read() as con:
        tokens = explain(con, market.artifacts, collection, k=1, threads=1).tokens.to_pandas()
    return tokens.set_index("token_id").explained_eth
