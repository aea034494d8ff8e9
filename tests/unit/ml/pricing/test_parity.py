"""One way to price: scoring, the backtest, the comparison of champions and the explanation give the same numbers.

The same tokens of one market are valued at one time by all four. Each token has a planted sale at that time, so
that those who price sales price the same tokens; the planted sales see nothing of one another. The market has
collections of every tier, tokens without traits, and then one change at a time.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.explain.document import as_document
from ml.explain.explain import explain
from ml.features.build import update_sale_features
from ml.index.update import update_index
from ml.ledger.estimate_ledger import TABLE as LEDGER
from ml.pricing.tiers import TierRules
from ml.registry.artifacts import ArtifactStore
from ml.registry.champions import ChampionRegistry
from ml.registry.mirror import read_champions
from ml.retraining.contest import CannotPriceError
from ml.states import NoValue, Tier
from ml.tables.predictions import MOST_ETH
from ml.tables.registry import TABLES
from ml.training.collections import record_training, train_collections
from ml.training.gate import GateConfig
from ml.training.pooled import train_pooled
from ml.training.pooled_tables import record_pooled
from tests.model_files import file_of
from tests.unit.ml.explain.conftest import CONFIG, NOW, OWN, POOLED, TRAINING, Market, build
from tests.unit.ml.explain.conftest import sales_and_traits as explained_market
from tests.unit.ml.features.market import make_sales, write_marts
from tests.unit.ml.monitoring.ledger_of_errors import make_ledger
from tests.unit.ml.pricing.ways_to_price import FEATURES, backtested, compared, explained, live

pytestmark = pytest.mark.slow

NO_CHAMPION, FEW, YOUNG = "c2", "c3", "y1"
"""Collections that the live prior, nothing and the index price."""


def sales_and_traits() -> tuple[pd.DataFrame, pd.DataFrame]:
    sales, traits = explained_market()
    young = make_sales(seed=8, sizes=(1, 6), tokens=40).query("collection == 'c1'")
    young = young.assign(collection=YOUNG, sale_id=[f"young-{i}" for i in range(len(young))])
    unknown = (traits.collection == OWN) & traits.token_id.isin(["3"])
    return pd.concat([sales, young], ignore_index=True), traits[~unknown]


def planted(sales: pd.DataFrame) -> pd.DataFrame:
    """One sale of every token at that time, each in a transaction of its own."""
    tokens = sales[["collection", "token_id"]].drop_duplicates().reset_index(drop=True)
    names = [f"planted-{i}" for i in range(len(tokens))]
    return tokens.assign(
        tx_hash=names, sale_id=names, event_time=pd.Timestamp(NOW), known_at=pd.Timestamp(NOW),
        time_uncertainty_s=0.0, price_eth=1.0, buyer="ann", seller="bob",
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The market, trained on what was known before that time, and then the planted sales."""
    home = tmp_path_factory.mktemp("parity")
    lake, artifacts = Lake(LakeConfig(home=home), TABLES), ArtifactStore.in_folder(home / "artifacts")
    sales, traits = sales_and_traits()
    with lake.write("market") as con:
        con.register("traits_known", traits)
        build(con, sales, traits, NOW)
    with lake.read() as con:
        outcome = train_pooled(con, artifacts, run_id="run-0", config=CONFIG)
    with lake.write("prior") as con:
        record_pooled(con, outcome)
    with lake.read() as con:
        report = train_collections(
            con,
            [OWN, POOLED, YOUNG],
            ChampionRegistry(f"sqlite:///{home}/mlflow.db", artifacts),
            run_id="run-1",
            snapshot_id=1,
            index_fingerprint="index-1",
            config=TRAINING,
        )
    with lake.write("champions, planted sales") as con:
        record_training(con, report)
        write_marts(con, pd.concat([sales, planted(sales)], ignore_index=True), traits)
        update_index(con)
        update_sale_features(con)
        # A token and a sale of it at one time have the same features up to rounding: here to the last digit.
        copied = ", ".join(f'"{name}" = s."{name}"' for name in ("base_log", *FEATURES.names))
        con.execute(
            f"""
            update features.token_features as t set {copied} from features.sale_features as s
            where s.collection = t.collection and s.token_id = t.token_id and s.sale_id like 'planted-%'
            """
        )
        make_ledger(con)
        con.execute(
            f"""
            insert into {LEDGER} by name
            select sale_id, collection, token_id, known_at, event_time, as_of, price_eth, true as is_arms_length,
                (
                    select arg_max(p20_50, c.seq) from marts.fct_collection_state as c
                    where c.collection = s.collection and c.known_at < s.as_of
                ) as p20_50_eth
            from marts.fct_sales as s where sale_id like 'planted-%'
            """
        )
    return home


@pytest.fixture
def market(made: Path, tmp_path: Path) -> Market:
    home = tmp_path / "home"
    shutil.copytree(made, home)
    return Market(Lake(LakeConfig(home=home), TABLES), ArtifactStore.in_folder(home / "artifacts"))


def nothing(_: Market) -> None:
    pass


def sql(*statements: str) -> Callable[[Market], None]:
    def change(market: Market) -> None:
        with market.lake.write("change") as con:
            for statement in statements:
                con.execute(statement)

    return change


def lost_booster(market: Market) -> None:
    with market.lake.read() as con:
        sha = read_champions(con)[OWN].local_sha
    file_of(market.artifacts, sha).unlink()


def traits(values: str, codes: str, information: str, where: str = "true") -> str:
    """Statement that changes the lists of one collection's tokens, which all have one length."""
    return (
        f"update marts.dim_tokens set trait_values = {values}, trait_codes = {codes}, trait_information = {information}"
        f" where collection = '{OWN}' and {where}"
    )


ADDED = sql(
    traits(
        "list_prepend('gold', trait_values)",
        "list_prepend(99, trait_codes)",
        "list_prepend(0.1, trait_information)",
        "len(trait_values) > 0",
    ),
    f"update marts.dim_trait_values set type_code = type_code + 1 where collection = '{OWN}'",
    f"insert into marts.dim_trait_values (collection, trait_type, type_code) values ('{OWN}', 'background', 0)",
)
REMOVED = sql(
    traits("trait_values[2:]", "trait_codes[2:]", "trait_information[2:]"),
    f"delete from marts.dim_trait_values where collection = '{OWN}' and type_code = 0",
    f"update marts.dim_trait_values set type_code = type_code - 1 where collection = '{OWN}'",
)
HIDDEN = sql(traits("[]", "[]", "[]"))
REVEALED = sql(traits("['1', '0', '2']", "[1, 4, 10]", "[1.0, 1.0, 1.0]", "token_id = '3'"))
UNCALIBRATED = sql("update ops.prior_folds set scale_sha = null", "delete from ops.interval_calibration where"
    " prior_version not like 'index%'")  # fmt: skip
OLD_FEATURES = sql(f"update ops.champions set feature_fingerprint = 'old' where collection = '{OWN}'")
LATE_GATE = TierRules(gate=GateConfig(pooled_min_sales=50))


@pytest.mark.parametrize(
    ("change", "rules", "own_tier"),
    [
        pytest.param(nothing, TierRules(), Tier.OWN, id="nothing changed"),
        pytest.param(ADDED, TierRules(), Tier.OWN, id="a trait type added"),
        pytest.param(REMOVED, TierRules(), Tier.OWN, id="a trait type removed"),
        pytest.param(HIDDEN, TierRules(), Tier.OWN, id="no sold token has traits"),
        pytest.param(REVEALED, TierRules(), Tier.OWN, id="a token revealed"),
        pytest.param(lost_booster, TierRules(), Tier.POOLED, id="a booster lost"),
        pytest.param(OLD_FEATURES, TierRules(), Tier.POOLED, id="a champion of other features"),
        pytest.param(UNCALIBRATED, TierRules(), Tier.OWN, id="a prior without calibration"),
        pytest.param(nothing, LATE_GATE, Tier.OWN, id="another gate"),
    ],
)
def test_all_four_price_alike(
    market: Market, change: Callable[[Market], None], rules: TierRules, own_tier: str
) -> None:
    change(market)
    scored = live(market, rules)
    tiers = scored.groupby("collection").tier.agg(set)
    late = rules is LATE_GATE
    assert tiers[OWN] == {own_tier}
    assert tiers[POOLED] == {Tier.POOLED}
    assert tiers[NO_CHAMPION] == {Tier.INDEX if late else Tier.POOLED}
    assert (tiers[YOUNG], tiers[FEW]) == ({Tier.INDEX}, {Tier.NONE})
    assert scored.lower_eth.notna().sum() == scored.estimate_eth.notna().sum() > 90

    pd.testing.assert_frame_equal(backtested(market, rules), scored, check_exact=True)
    for collection, own in scored[scored.estimate_eth.notna()].groupby("collection"):
        estimate = own.set_index("token_id").estimate_eth
        shown = explained(market, str(collection))[estimate.index]
        pd.testing.assert_series_equal(shown, estimate, check_exact=True, check_names=False)
    for collection in (OWN, POOLED, YOUNG):
        estimate = scored[scored.collection == collection].set_index("token_id").estimate_eth
        if collection == OWN and own_tier != Tier.OWN:
            with pytest.raises(CannotPriceError):
                compared(market, collection)
        else:
            pd.testing.assert_series_equal(
                compared(market, collection), estimate, check_exact=True, check_names=False
            )


def test_the_time_is_after_everything_the_models_have_seen(made: Path) -> None:
    with Lake(LakeConfig(home=made), TABLES).read() as con:
        newest: datetime = con.execute(
            "select max(known_at) from marts.fct_sales where sale_id not like 'planted-%'"
        ).fetchone()[0]
    assert newest < NOW


def make_implausible(market: Market) -> dict[str, list[str]]:
    """Move two tokens of each of two collections: one beyond what a token can be worth, one so that its interval is.

    Returns:
        Collection to those tokens.
    """
    scored = live(market, TierRules())
    chosen: dict[str, list[str]] = {}
    for collection in (OWN, POOLED):
        first: Any
        second: Any
        first, second = scored[scored.collection == collection].head(2).itertuples()
        chosen[collection] = [first.token_id, second.token_id]
        # The index moves the estimate by as much; an interval is never as narrow as 1 %.
        for row, target in ((first, math.log(MOST_ETH) + 0.3), (second, math.log(MOST_ETH) - 0.01)):
            moved = f"base_log = base_log + {target - math.log(row.estimate_eth)!r}"
            which = f"where collection = '{collection}' and token_id = '{row.token_id}'"
            sql(
                f"update features.token_features set {moved} {which}",
                f"update features.sale_features set {moved} {which} and sale_id like 'planted-%'",
            )(market)
    sql("delete from predictions.token_estimates", "delete from predictions.estimate_history")(market)
    return chosen


def test_what_no_token_can_be_worth_is_no_value_in_all_four(market: Market) -> None:
    implausible = make_implausible(market)
    unscored = {collection: compared(market, collection) for collection in implausible}
    scored = live(market, TierRules())
    found = scored[scored.no_value_reason == NoValue.IMPLAUSIBLE]
    assert found.groupby("collection").token_id.agg(list).to_dict() == implausible
    assert set(found.tier) == {Tier.NONE}
    numbers = ["estimate_eth", "lower_eth", "upper_eth", "lower_90_eth", "upper_90_eth", "expected_eth"]
    assert found[numbers].isna().all(axis=None)
    assert scored.estimate_eth.notna().sum() > 90

    pd.testing.assert_frame_equal(backtested(market, TierRules()), scored, check_exact=True)
    for collection, own in scored[scored.collection.isin(list(implausible))].groupby("collection"):
        estimate = own.set_index("token_id").estimate_eth
        ways = (
            explained(market, str(collection)),
            compared(market, str(collection)),
            unscored[str(collection)],
        )
        for way in ways:
            pd.testing.assert_series_equal(way[estimate.index], estimate, check_exact=True, check_names=False)


def test_an_explanation_leaves_out_what_was_found_implausible(market: Market) -> None:
    tokens = make_implausible(market)[POOLED]
    live(market, TierRules())
    with market.lake.read() as con:
        alone = explain(con, market.artifacts, POOLED, tokens=tokens, k=1, threads=1)
        everything = explain(con, market.artifacts, POOLED, k=1, threads=1)
    assert (alone.components.num_rows, alone.comparables.num_rows) == (0, 0)
    for explanations in (alone, everything):
        assert explanations.consistent
        assert not set(tokens) & set(explanations.components["token_id"].to_pylist())
        assert not set(tokens) & set(explanations.comparables["token_id"].to_pylist())
        document = as_document(explanations, tokens[1])
        assert (document["estimate_eth"], document["steps"]) == (None, [])
        assert document["no_value_reason"] == NoValue.IMPLAUSIBLE
    assert len(set(everything.components["token_id"].to_pylist())) > 30


def test_before_it_is_scored_an_explanation_finds_the_reason_itself(market: Market) -> None:
    tokens = make_implausible(market)[POOLED]
    live(market, TierRules())
    sql(
        "update predictions.token_estimates set no_value_reason = null where no_value_reason = 'implausible_value'"
    )(market)
    with market.lake.read() as con:
        found = explain(con, market.artifacts, POOLED, k=1, threads=1)
    assert not set(tokens) & set(found.components["token_id"].to_pylist())
    document = as_document(found, tokens[1])
    assert (document["estimate_eth"], document["no_value_reason"]) == (None, NoValue.IMPLAUSIBLE)
