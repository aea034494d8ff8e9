import dataclasses

import numpy as np

from ml.models.markets import LivePriors, split_markets
from ml.training.pooled import PooledOutcome, train_pooled
from ml.training.pooled_tables import record_pooled
from tests.unit.ml.conftest import FEATURES, POOLED, Market
from tests.unit.ml.training.test_walk_forward import frame


def trained(market: Market) -> PooledOutcome:
    config = dataclasses.replace(POOLED, min_market_sales=400)
    with market.lake.read() as con:
        outcome = train_pooled(con, market.artifacts, run_id="run-0", config=config, features=FEATURES)
    with market.lake.write("prior") as con:
        record_pooled(con, outcome)
    return outcome


def test_a_large_chain_is_a_market_and_a_small_one_joins_the_largest() -> None:
    sales = dataclasses.replace(frame(), chains=["a", "a", "a", "b", "c"])
    counts = {name: int(mask.sum()) for name, mask in split_markets(sales, minimum=240).items()}
    per_code = np.bincount(sales.collection, minlength=5)
    small, large = sorted(((per_code[3], "b"), (per_code[4], "c")))
    expected = {"a": per_code[:3].sum() + (small[0] if small[0] < 240 else 0), large[1]: large[0]}
    assert counts == expected
    assert sum(counts.values()) == len(sales)


def test_each_market_is_priced_by_its_own_prior(market: Market) -> None:
    with market.lake.write("another chain") as con:
        con.execute("""update marts.dim_collections set "chain" = 'wax' where collection = 'apes'""")
        con.execute(
            "update features.sale_features set target_log = target_log * 9 where collection = 'birds'"
        )
    with market.lake.write("too few for a market") as con:
        con.execute("""update marts.dim_collections set "chain" = 'tiny' where collection = 'cats'""")
    outcome = trained(market)
    with market.lake.read() as con:
        live = LivePriors.read(con)
        of = live.of_collections(con)
    assert set(live.by_market) == {"wax"}  # the other sales are too few for a market: all join the largest
    assert len(set(of.values())) == 1
    assert outcome.prior_version == live.default


def test_a_prior_of_its_own_does_not_see_the_other_market(market: Market) -> None:
    with market.lake.write("another chain") as con:
        con.execute("""update marts.dim_collections set "chain" = 'wax' where collection <> 'apes'""")
    with market.lake.read() as con:
        config = dataclasses.replace(POOLED, min_market_sales=200)
        before = train_pooled(con, market.artifacts, run_id="run-0", config=config, features=FEATURES)
    with market.lake.write("change the other market") as con:
        con.execute(
            "update features.sale_features set target_log = 9 * target_log - 2 where collection <> 'apes'"
        )
    with market.lake.read() as con:
        after = train_pooled(con, market.artifacts, run_id="run-0", config=config, features=FEATURES)
    assert {fold.market for fold in before.walk_forward.folds} == {"ethereum", "wax"}
    apes = [name == "apes" for name in np.array(before.frame.collections)[before.frame.collection]]
    np.testing.assert_array_equal(
        before.walk_forward.prediction_log[apes], after.walk_forward.prediction_log[apes]
    )
    assert [fold for fold in before.walk_forward.folds if fold.market == "ethereum"] == [
        fold for fold in after.walk_forward.folds if fold.market == "ethereum"
    ]
