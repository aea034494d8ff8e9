"""A planted worse champion is taken back; a good one stays; few sales decide nothing; what is hopeless falls a tier."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from catboost import CatBoostRegressor

from lake.config import LakeConfig
from lake.connection import Lake
from ml.ledger.estimate_ledger import TABLE as LEDGER
from ml.models.local import LocalConfig, LocalInputs, fit_local
from ml.models.traits import Traits
from ml.monitoring.online_error import update_online_metrics
from ml.registry.artifacts import ArtifactStore
from ml.registry.champion import Champion
from ml.registry.champions import ChampionRegistry
from ml.registry.mirror import read_champions, record
from ml.retraining.contest import compare
from ml.retraining.policy import RetrainingPolicy
from ml.retraining.queue import mark_trained
from ml.retraining.restore import Finding, Suspect, examine, restore, suspects
from ml.retraining.tables import QUEUE
from ml.states import Tier
from ml.tables.registry import TABLES
from ml.training.pooled import train_pooled
from ml.training.pooled_tables import record_pooled
from tests.model_files import file_of
from tests.unit.ml.conftest import END, FEATURES, POOLED, START, Market, fill
from tests.unit.ml.monitoring.ledger_of_errors import make_ledger
from tests.unit.ml.training.test_collections import train

pytestmark = pytest.mark.slow

LEARNT_UNTIL = START + timedelta(days=60)
NAME = "apes"


def plant(market: Market, *, shift: float | None) -> Champion:
    """A newest champion whose booster adds `shift` to every estimate; None: one as good as the champion before.

    Both are recorded as having seen nothing after `LEARNT_UNTIL`, so that later sales are unseen by them.
    """
    with market.lake.read() as con:
        current = read_champions(con, [NAME])[NAME]
    sha = current.local_sha if shift is None else market.artifacts.put_model(_booster(shift))
    older = replace(current, weight=0.99 * current.weight, trained_until=LEARNT_UNTIL, version=0)
    older = market.registry.promote(older, current)
    newest = replace(
        older, tier=Tier.OWN, local_sha=sha, weight=1.0 if shift else 0.98 * current.weight, version=0
    )
    newest = market.registry.promote(newest, older)
    with market.lake.write("plant") as con:
        record(con, [newest], [])
    return newest


def _booster(shift: float) -> CatBoostRegressor:
    rng = np.random.default_rng(0)
    traits = np.column_stack([rng.integers(1, 3, 200), np.zeros(200)]).astype(np.int32)
    numbers = rng.normal(size=(200, len(FEATURES.local_names))).astype(np.float32)
    vocabulary = np.array(["(absent)", "laser", "plain"], dtype=object)
    inputs = LocalInputs(FEATURES.local_names, numbers, Traits(("eyes", "hat"), traits, vocabulary))
    config = LocalConfig(iterations=60, learning_rate=0.3, l2_leaf_reg=0.1)
    return fit_local(inputs, shift + 0.01 * rng.normal(size=200), config, time.monotonic() + 60)


def enter_ledger(
    market: Market, *, since: datetime = LEARNT_UNTIL, bad_after: datetime = LEARNT_UNTIL
) -> None:
    """Every sale with features, priced at 1.05 × before and at 2 × after; the median of five is always 1.2 ×."""
    with market.lake.write("ledger") as con:
        make_ledger(con)
        con.execute(
            f"""
            insert into {LEDGER} by name
            select sale_id, collection, token_id, known_at, known_at as event_time, known_at as as_of, price_eth,
                true as is_arms_length,
                price_eth * 1.2 as med_5_eth,
                price_eth * case when known_at > $bad then 2 + random() else 1.05 + 0.01 * random() end as estimate_eth
            from marts.fct_sales where collection = $name and known_at > $since
            """,
            {"name": NAME, "since": since - timedelta(days=60), "bad": bad_after},
        )
        update_online_metrics(con, END)


def act(market: Market, policy: RetrainingPolicy | None = None, as_of: datetime = END) -> Finding:
    with market.lake.read() as con:
        decisions = examine(con, market.registry, [NAME], as_of, policy=policy, features=FEATURES)
    with market.lake.write("restore") as con:
        (finding,) = restore(con, market.registry, decisions, "run-9", as_of)
    return finding


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the priors and the champion of one collection, made once."""
    home = tmp_path_factory.mktemp("market")
    made = open_market(home)
    fill(made.lake)
    with made.lake.read() as con:
        outcome = train_pooled(con, made.artifacts, run_id="run-0", config=POOLED, features=FEATURES)
    with made.lake.write("prior") as con:
        record_pooled(con, outcome)
    train(made, keys=[NAME])
    return home


def open_market(home: Path) -> Market:
    artifacts = ArtifactStore.in_folder(home / "artifacts")
    registry = ChampionRegistry(f"sqlite:///{home}/mlflow.db", artifacts)
    return Market(Lake(LakeConfig(home=home), TABLES), artifacts, registry)


@pytest.fixture
def trained(once: Path, tmp_path: Path) -> Market:
    shutil.copytree(once, tmp_path / "home")
    return open_market(tmp_path / "home")


def test_a_planted_worse_champion_is_found_and_its_predecessor_restored(trained: Market) -> None:
    planted = plant(trained, shift=0.8)
    enter_ledger(trained)
    with trained.lake.read() as con:
        assert [(s.collection, s.version) for s in suspects(con, END)] == [(NAME, planted.version)]
    finding = act(trained)
    assert finding.action == "rolled_back"
    assert finding.contest is not None
    assert finding.contest.rival < finding.contest.champion
    with trained.lake.read() as con:
        assert read_champions(con)[NAME].version == planted.previous_version
        logged = con.execute(
            "select action, rule, challenger, champion, decided_at from ops.decision_log where run_id = 'run-9'"
        ).fetchall()
    assert logged == [
        ("rolled_back", "previous_better", f"{NAME}@{planted.previous_version}", planted.model_version, END)
    ]
    assert trained.registry.aliases()[NAME]["champion"] == planted.previous_version


def test_a_champion_that_is_as_good_stays(trained: Market) -> None:
    planted = plant(trained, shift=None)
    enter_ledger(trained)
    assert act(trained).action == "none"
    with trained.lake.read() as con:
        assert read_champions(con)[NAME].version == planted.version


def test_few_unseen_sales_decide_nothing(trained: Market) -> None:
    plant(trained, shift=0.8)
    enter_ledger(trained)
    finding = act(trained, as_of=LEARNT_UNTIL + timedelta(days=1))
    assert finding.action == "none"
    assert "30 decide" in finding.reason


def test_a_version_whose_file_is_gone_is_reported_and_not_restored(trained: Market) -> None:
    planted = plant(trained, shift=0.8)
    enter_ledger(trained)
    file_of(trained.artifacts, planted.local_sha).unlink()
    finding = act(trained)
    assert finding.action == "none"
    assert "expected a model file" in finding.reason


def test_a_registry_that_cannot_describe_the_previous_version_loses_nothing_else(trained: Market) -> None:
    planted = plant(trained, shift=0.8)
    enter_ledger(trained)
    trained.registry.client.delete_model_version(f"assay.{NAME}", str(planted.previous_version))
    finding = act(trained)
    assert finding.action == "none"
    assert "previous version was not read" in finding.reason


def test_a_registry_that_refuses_is_a_finding_of_that_collection(trained: Market) -> None:
    planted = plant(trained, shift=0.8)
    enter_ledger(trained)
    with trained.lake.read() as con:
        decisions = examine(con, trained.registry, [NAME], END, features=FEATURES)
    trained.registry.client.delete_model_version(f"assay.{NAME}", str(planted.previous_version))
    with trained.lake.write("restore") as con:
        (finding,) = restore(con, trained.registry, decisions, "run-9", END)
    assert finding.action == "failed"
    with trained.lake.read() as con:
        assert read_champions(con)[NAME] == planted


def test_what_training_did_not_help_falls_back_a_tier(trained: Market) -> None:
    planted = plant(trained, shift=1.5)
    alone = replace(planted, previous_version=None)
    enter_ledger(trained)
    with trained.lake.write("trained again, in vain") as con:
        record(con, [alone], [])
        con.execute(
            f"insert into {QUEUE} by name select '{NAME}' as collection, 'queued' as state, 0 as attempts"
        )
    assert act(trained).action == "none", "it has not been trained again yet"
    with trained.lake.write("trained again, in vain") as con:
        mark_trained(con, [NAME], "run-8", END, 72)
        assert suspects(con, END) == [Suspect(NAME, planted.version, _newest(con))]
    finding = act(trained)
    assert finding.action == "fell_back"
    with trained.lake.read() as con:
        champion = read_champions(con)[NAME]
    assert champion.tier == Tier.POOLED
    assert champion.local_sha is None
    assert champion.previous_version == planted.version


def _newest(con: duckdb.DuckDBPyConnection) -> datetime:
    row = con.execute(f"select max(known_at) from {LEDGER}").fetchone()
    assert row is not None
    return row[0]


def test_a_lower_tier_that_is_worse_is_not_taken(trained: Market) -> None:
    """The prior alone is far better than the index here, and the index is all that is left below it."""
    with trained.lake.read() as con:
        current = read_champions(con, [NAME])[NAME]
    enter_ledger(trained)
    pooled = replace(current, tier=Tier.POOLED, local_sha=None, weight=0.0, trained_until=LEARNT_UNTIL)
    with trained.lake.write("trained again") as con:
        record(con, [replace(pooled, previous_version=None)], [])
        con.execute(f"update {LEDGER} set med_5_eth = price_eth")
        con.execute(
            f"insert into {QUEUE} by name select '{NAME}' as collection, 'queued' as state, 0 as attempts"
        )
        mark_trained(con, [NAME], "run-8", END, 72)
    finding = act(trained)
    assert finding.action == "none"
    assert Tier.INDEX in finding.reason


def test_equal_sales_of_one_hour_are_one_piece_of_evidence() -> None:
    rng = np.random.default_rng(5)
    champion, rival = np.abs(rng.normal(0.12, 0.05, 40)), np.abs(rng.normal(0.10, 0.05, 40))
    hour = np.arange(40)
    once = compare(champion, rival, hour)
    many = compare(np.repeat(champion, 10), np.repeat(rival, 10), np.repeat(hour, 10))
    assert (many.n, many.hours) == (400, 40)
    assert many.z == pytest.approx(once.z)


def test_a_sale_that_one_of_the_two_gives_no_value_is_no_evidence() -> None:
    ours, theirs = np.full(60, 0.4), np.full(60, 0.2)
    theirs[:5] += 0.01
    hour = np.arange(60)
    with_gaps, gaps = ours.copy(), theirs.copy()
    with_gaps[50:], gaps[45:50] = np.nan, np.nan
    assert compare(with_gaps, gaps, hour) == compare(ours[:45], theirs[:45], hour[:45])
    nothing = compare(np.full(3, np.nan), theirs[:3], hour[:3])
    assert (nothing.n, nothing.is_won(RetrainingPolicy())) == (0, False)


def test_a_collection_that_is_set_aside_keeps_its_champion(trained: Market) -> None:
    planted = plant(trained, shift=0.8)
    enter_ledger(trained)
    with trained.lake.write("set aside") as con:
        con.execute("delete from features.sale_features where collection = $1", [NAME])
    finding = act(trained)
    assert (finding.action, finding.champion) == ("none", None)
    assert "0 sales since its training" in finding.reason
    with trained.lake.read() as con:
        assert read_champions(con)[NAME] == planted
