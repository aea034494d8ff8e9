"""A small lake with marts and features of a made-up market, for training and scoring end to end."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.models.frames import FeatureSet
from ml.models.local import LocalConfig
from ml.models.prior import PriorConfig, ScaleConfig
from ml.registry.artifacts import ArtifactStore
from ml.registry.champions import ChampionRegistry, model_name
from ml.tables.registry import TABLES
from ml.training.candidate import CandidateConfig
from ml.training.collections import TrainingConfig
from ml.training.pooled import PooledConfig, train_pooled
from ml.training.pooled_tables import record_pooled
from ml.training.walk_forward import WalkForwardConfig
from tests.homes import made_once

START = datetime(2022, 1, 1)  # noqa: DTZ001 - the lake's naive UTC
END = START + timedelta(days=100)
FEATURES = FeatureSet(("gap", "noise", "rarity"), ("gap", "rarity"), "features-1")
POOLED = PooledConfig(
    walk_forward=WalkForwardConfig(
        refits=3, prior=PriorConfig(iterations=60), scale=ScaleConfig(iterations=40)
    ),
    gate_rows=400,
)
TRAINING = TrainingConfig(candidate=CandidateConfig(local=LocalConfig(iterations=80)))
SIZES = {"apes": 900, "birds": 150, "cats": 60, "dogs": 10, "eels": 4, "foxes": 2, "gone": 50}
"""Sales per collection; tokens of `apes` with a laser carry a premium that only their own model can learn."""


@dataclass(frozen=True)
class Market:
    """A lake with features, an artefact store and a registry."""

    lake: Lake
    artifacts: ArtifactStore
    registry: ChampionRegistry


def _sales(rng: np.random.Generator) -> pa.Table:
    rows = []
    for collection, sales in SIZES.items():
        days = np.sort(rng.uniform(0, 2 if collection == "gone" else 99, size=sales))
        for seq, day in enumerate(days, start=1):
            token = int(rng.integers(0, 40))
            gap, noise = rng.normal(), rng.uniform(0.05, 0.3)
            laser = 0.35 if collection == "apes" and token % 4 == 0 else 0.0
            known = START + timedelta(days=float(day))
            rows.append(
                (collection, str(token), seq, known, gap, noise, 0.3 * gap + laser + rng.normal() * noise)
            )
    columns = ("collection", "token_id", "seq", "known_at", "gap", "noise", "target_log")
    table = pa.table({name: [row[i] for row in rows] for i, name in enumerate(columns)})
    ids = [f"{row[0]}-{row[2]}" for row in rows]
    return table.append_column("sale_id", pa.array(ids))


def fill(lake: Lake, seed: int = 3) -> None:
    """Write the market's marts and features."""
    sales = _sales(np.random.default_rng(seed))
    with lake.write("test market") as con:
        con.register("sales", sales)
        con.register("sizes", pa.table({"collection": list(SIZES)}))
        con.execute(
            """
            create or replace table marts.fct_sales as
            select sale_id, collection, token_id, known_at, known_at as event_time, seq, exp(target_log) as price_eth,
                true as is_arms_length
            from sales
            """
        )
        con.execute(
            """
            create or replace table marts.fct_collection_state as
            select collection, seq, known_at, event_time, quantile_cont(price_eth, 0.2) over w as p20_50,
                quantile_cont(price_eth, 0.1) over w as p10_50,
                median(price_eth) over w as med_30, median(price_eth) over w as med_5
            from marts.fct_sales window w as (partition by collection order by seq rows 29 preceding)
            """
        )
        con.execute(
            """
            create or replace table marts.dim_collections as
            select collection, 'ethereum' as "chain", null::timestamp as covered_until,
                null::varchar as contract, null::varchar as name
            from sizes
            """
        )
        con.execute(
            """
            create or replace table marts.dim_tokens as
            select collection, token::varchar as token_id, token / 40.0 as rarity_pct,
                [case when token % 4 = 0 then 'laser' else 'plain' end, null]::varchar[] as trait_values
            from sizes cross join range(40) as t (token)
            """
        )
        con.execute(
            """
            create or replace table marts.dim_trait_values as
            select collection, type_code, case type_code when 0 then 'eyes' else 'hat' end as trait_type
            from sizes cross join range(2) as t (type_code)
            """
        )
        con.execute(
            """
            create or replace table features.sale_features as
            select sale_id, collection, token_id, seq, known_at, known_at as as_of, 0.0::double as base_log, target_log,
                gap::float as gap, noise::float as noise, (token_id::int / 40.0)::float as rarity
            from sales where seq > 3
            """
        )
        con.execute(
            """
            create or replace table features.token_features as
            select collection, token_id, $1::timestamp as as_of, $1::timestamp - interval 1 minute as state_known_at,
                0.0::double as base_log, 0.5::float as gap, 0.1::float as noise, rarity_pct::float as rarity
            from marts.dim_tokens where collection not in ('foxes')
            """,
            [END],
        )


def opened(home: Path) -> Market:
    """The market of a home."""
    artifacts = ArtifactStore.in_folder(home / "artifacts")
    registry = ChampionRegistry(f"sqlite:///{home}/mlflow.db", artifacts)
    return Market(Lake(LakeConfig(home=home), TABLES), artifacts, registry)


def _priced_home(home: Path) -> None:
    market = opened(home)
    fill(market.lake)
    with market.lake.read() as con:
        outcome = train_pooled(con, market.artifacts, run_id="run-0", config=POOLED, features=FEATURES)
    with market.lake.write("prior") as con:
        record_pooled(con, outcome)


def _copied(made: Path, home: Path) -> Market:
    shutil.copytree(made, home, dirs_exist_ok=True)
    return opened(home)


@pytest.fixture
def market(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A filled lake without any model; a copy of the test's own."""
    made = made_once(tmp_path_factory, "made-up-market", lambda home: fill(opened(home).lake))
    return _copied(made, tmp_path)


@pytest.fixture
def priced(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Market:
    """The same with a pooled prior recorded."""
    return _copied(made_once(tmp_path_factory, "made-up-market-priced", _priced_home), tmp_path)


def refuse_registration(market: Market, collection: str) -> None:
    """Let the registry's database refuse every new version of one collection."""
    assert market.registry.client  # makes the store
    database = market.registry.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as con, con:
        con.execute(
            f"create trigger refuse before insert on model_versions when new.name = '{model_name(collection)}'"
            " begin select raise(abort, 'refused by a test'); end"
        )
