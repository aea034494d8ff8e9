"""A small market with a real index, real features, a pooled prior, one own model, and estimates of all tokens."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.features.build import build_token_features, update_sale_features
from ml.index.update import update_index
from ml.models.local import LocalConfig
from ml.models.prior import PriorConfig, ScaleConfig
from ml.pricing.scoring import score
from ml.registry.artifacts import ArtifactStore
from ml.registry.champions import ChampionRegistry
from ml.tables.registry import TABLES
from ml.training.candidate import CandidateConfig
from ml.training.collections import TrainingConfig, record_training, train_collections
from ml.training.pooled import PooledConfig, train_pooled
from ml.training.pooled_tables import record_pooled
from ml.training.walk_forward import WalkForwardConfig
from tests.unit.ml.features.market import make_sales, make_traits, write_marts

NOW = datetime(2024, 4, 10)  # noqa: DTZ001 - the lake's naive UTC
OWN, POOLED, COLD, FEW = "c0", "c1", "c2", "c3"
"""Collections by what prices them; `COLD` has no traits and no champion, `FEW` two sales."""
PREMIUM = 0.7
"""Log premium in `OWN` of a hat, which the index learns, and of pairs of traits, which only its own model can."""

CONFIG = PooledConfig(
    walk_forward=WalkForwardConfig(
        refits=2, prior=PriorConfig(iterations=40), scale=ScaleConfig(iterations=20)
    ),
    gate_rows=100,
)
TRAINING = TrainingConfig(candidate=CandidateConfig(local=LocalConfig(iterations=60)))


@dataclass(frozen=True)
class Market:
    """A lake and an artefact store."""

    lake: Lake
    artifacts: ArtifactStore


def sales_and_traits() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sales of 40 tokens a collection; in `OWN` a hat of kind 0 costs more, and some pairs of traits do."""
    sales = make_sales(seed=5, sizes=(700, 120, 12, 2), tokens=40)
    traits = make_traits((OWN, POOLED, FEW), tokens=40)
    own = sales.collection == OWN
    wide = traits.query("collection == @OWN").pivot_table(
        index="token_id", columns="type", values="value", aggfunc="first"
    )
    worth = PREMIUM * (wide.hat == "0") + PREMIUM * ((wide.eyes == "0") ^ (wide.mouth == "0"))
    noise = np.random.default_rng(9).normal(0.0, 0.05, own.sum())
    sales.loc[own, "price_eth"] = np.exp(sales.token_id[own].map(worth) + noise)
    return sales, traits


def build(con: duckdb.DuckDBPyConnection, sales: pd.DataFrame, traits: pd.DataFrame, as_of: datetime) -> None:
    """Marts, index and features."""
    write_marts(con, sales, traits)
    con.execute("alter table marts.fct_sales add column if not exists buyer varchar")
    con.execute("alter table marts.fct_sales add column if not exists seller varchar")
    con.execute(
        "create or replace table marts.fct_holdings as"
        " select collection, token_id, null::varchar as owner, null::timestamp as held_since from marts.dim_tokens"
    )
    con.execute(
        "alter table marts.dim_collections add column if not exists \"chain\" varchar default 'ethereum'"
    )
    con.execute(
        "create or replace table marts.dim_trait_values as select distinct collection, type as trait_type,"
        " dense_rank() over (partition by collection order by type) - 1 as type_code from traits_known"
    )
    update_index(con)
    update_sale_features(con)
    build_token_features(con, as_of)


@pytest.fixture(scope="package")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """The market, scored; tests only read it."""
    home = tmp_path_factory.mktemp("explained")
    lake, artifacts = Lake(LakeConfig(home=home), TABLES), ArtifactStore.in_folder(home / "artifacts")
    registry = ChampionRegistry(f"sqlite:///{home}/mlflow.db", artifacts)
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
            [OWN, POOLED],
            registry,
            run_id="run-1",
            snapshot_id=1,
            index_fingerprint="index-1",
            config=TRAINING,
        )
    with lake.write("champions") as con:
        record_training(con, report)
    with lake.write("score") as con:
        score(con, artifacts, NOW, 7)
    return Market(lake, artifacts)


@pytest.fixture
def later() -> timedelta:
    """A while after the scoring."""
    return timedelta(hours=6)


@pytest.fixture
def copied(market: Market, tmp_path: Path) -> Market:
    """A copy that a test may write to."""
    import shutil

    home = tmp_path / "copy"
    shutil.copytree(market.lake.config.home, home)
    return Market(Lake(LakeConfig(home=home), TABLES), ArtifactStore.in_folder(home / "artifacts"))
