"""From a study on a lake to the next refit: what adopting changes, and what it may not change."""

import json
import os
import signal
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.compute.backend import ThreadBackend
from ml.models.frames import FeatureSet
from ml.models.local import LocalConfig
from ml.models.prior import PriorConfig
from ml.models.tuned_settings import COLLECTION, MARKET, recipe, recipe_of_local
from ml.registry.artifacts import ArtifactStore
from ml.registry.champions import ChampionRegistry
from ml.tables.registry import TABLES
from ml.training.due import prior_due
from ml.training.pooled import PooledOutcome, train_pooled
from ml.training.pooled_tables import record_pooled
from ml.tuning.collections import tune_collections
from ml.tuning.journal import Journal
from ml.tuning.judgement import AdoptionRule
from ml.tuning.markets import tune_markets
from ml.tuning.results import tuning_results
from ml.tuning.scope import TuningConfig
from ml.tuning.study import StudyConfig
from ml.tuning.tables import Verdict, write_verdict
from ml.tuning.worth import WorthRule
from tests.unit.ml.conftest import FEATURES, POOLED, START, TRAINING, Market, fill
from tests.unit.ml.training.test_collections import train

pytestmark = pytest.mark.slow

RECIPE = recipe(FEATURES.fingerprint, POOLED.fingerprint())
LOCAL_RECIPE = recipe_of_local(TRAINING.candidate.local, FEATURES.fingerprint)
TUNING = TuningConfig(
    study=StudyConfig(seconds=600, trials=8), min_trials=6, rule=AdoptionRule(draws=200, seeds=(7,))
)


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """A filled lake without any model."""
    lake = Lake(LakeConfig(home=tmp_path), TABLES)
    fill(lake)
    artifacts = ArtifactStore.in_folder(tmp_path / "artifacts")
    return Market(lake, artifacts, ChampionRegistry(f"sqlite:///{tmp_path}/mlflow.db", artifacts))


def _walk(market: Market, run_id: str) -> PooledOutcome:
    with market.lake.read() as con:
        outcome = train_pooled(con, market.artifacts, run_id=run_id, config=POOLED, features=FEATURES)
    with market.lake.write("prior") as con:
        record_pooled(con, outcome)
    return outcome


def _adopt(market: Market, kind: str, scope: str, params: dict[str, float], decided_at: datetime) -> None:
    verdict = Verdict(
        kind, scope, RECIPE if kind == MARKET else LOCAL_RECIPE, "by hand", params, True, "later_window", "test", {},
        decided_at, decided_at, decided_at + timedelta(days=60), 1, 0.0,
    )  # fmt: skip
    with market.lake.write("adopt") as con:
        write_verdict(con, verdict, "test")


def _newest(market: Market) -> datetime:
    with market.lake.read() as con:
        row = con.execute("select max(known_at) from features.sale_features").fetchone()
    assert row is not None
    return row[0]


def test_the_next_refit_uses_what_was_adopted_and_no_fold_before_it_does(market: Market):
    later = START + timedelta(days=60)
    with market.lake.write("hold sales back") as con:
        con.execute(
            "create table features.held as select * from features.sale_features where known_at >= $1", [later]
        )
        con.execute("delete from features.sale_features where known_at >= $1", [later])
    before = _walk(market, "run-0")
    _adopt(market, MARKET, "ethereum", {"iterations": 33}, _newest(market))
    assert _walk(market, "run-1").walk_forward.folds == before.walk_forward.folds
    with market.lake.write("sales come in") as con:
        con.execute("insert into features.sale_features select * from features.held")
    after = _walk(market, "run-2")
    assert after.walk_forward.folds[:-1] == before.walk_forward.folds
    trees = [market.artifacts.get_model(fold.prior_sha).tree_count_ for fold in after.walk_forward.folds]
    assert trees == [60] * (len(trees) - 1) + [33]
    scratch = ArtifactStore.in_folder(market.lake.config.home / "elsewhere")
    with market.lake.write("forget the folds") as con:
        con.execute("delete from ops.prior_folds")
    with market.lake.read() as con:
        rebuilt = train_pooled(con, scratch, run_id="run-3", config=POOLED, features=FEATURES)
    cutoff = (later - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001 - the lake's naive UTC
    for fold in rebuilt.walk_forward.folds:
        assert (scratch.get_model(fold.prior_sha).tree_count_ == 33) == (fold.cutoff > cutoff)


def test_the_prior_is_due_when_settings_were_adopted_after_it_was_fitted(market: Market):
    _walk(market, "run-0")
    adopted_at = _newest(market)
    declared = FeatureSet.declared().fingerprint
    with market.lake.write("ten days later") as con:
        con.execute("update ops.prior_folds set feature_fingerprint = $1", [declared])
        con.execute(
            "insert into features.sale_features select * replace (known_at + interval 10 day as known_at)"
            " from features.sale_features where known_at > $1",
            [adopted_at - timedelta(days=5)],
        )

    def why() -> str | None:
        with market.lake.read() as con:
            return prior_due(con, POOLED)

    assert why() == "its out-of-fold predictions lag behind the sales"
    _adopt(market, MARKET, "ethereum", {"iterations": 33}, adopted_at)
    with market.lake.write("as measured on the declared features") as con:
        con.execute("update ops.tuned_settings set recipe = $1", [recipe(declared, POOLED.fingerprint())])
    assert why() == "tuned settings of ethereum were adopted after its live prior was fitted"


def test_settings_measured_against_another_recipe_are_ignored(market: Market):
    _adopt(market, MARKET, "ethereum", {"iterations": 33}, START)
    with market.lake.read() as con:
        tuned = train_pooled(con, market.artifacts, run_id="a", config=POOLED, features=FEATURES)
        walk = POOLED.walk_forward
        other = replace(POOLED, walk_forward=replace(walk, prior=replace(walk.prior, iterations=40)))
        untouched = train_pooled(con, market.artifacts, run_id="b", config=other, features=FEATURES)
    trees = [
        market.artifacts.get_model(outcome.walk_forward.folds[-1].prior_sha).tree_count_
        for outcome in (tuned, untouched)
    ]
    assert trees == [33, 40]


def test_a_tuned_booster_serves_at_once_and_its_past_is_priced_without_it(market: Market):
    _walk(market, "run-0")
    train(market, keys=["apes"])
    history = "select * from predictions.local_walk_forward order by sale_id"
    with market.lake.read() as con:
        before = con.execute(history).fetchall()
    _adopt(market, COLLECTION, "apes", {"iterations": 17}, _newest(market))
    report = train(market, keys=["apes"], config=replace(TRAINING, refit_all=True))
    champion = report.outcomes[0].champion
    assert champion is not None
    assert champion.local_sha is not None
    assert market.artifacts.get_model(champion.local_sha).tree_count_ == 17
    with market.lake.read() as con:
        assert con.execute(history).fetchall() == before


def test_a_study_that_pays_is_adopted_reported_and_not_repeated(market: Market):
    poor = PriorConfig(iterations=120, learning_rate=0.015, depth=3, quantile=0.44, threads=1)
    weak = replace(POOLED, min_market_sales=500, walk_forward=replace(POOLED.walk_forward, prior=poor))
    journal = Journal(market.lake, "run-t")

    def tune() -> list:
        return tune_markets(journal, 600, config=TUNING, pooled=weak, features=FEATURES)

    (outcome,) = tune()
    assert outcome.study is not None
    assert outcome.study.trials[0].params["learning_rate"] == 0.015
    assert outcome.verdict is not None, outcome.reason
    with market.lake.read() as con:
        trials = con.execute("select count(*), max(window_end) from ops.tuning_trials").fetchone()
        decision = con.execute("select action, rule, numbers from ops.decision_log").fetchone()
        (result,) = tuning_results(con)
    assert trials is not None
    assert decision is not None
    assert trials[0] == len(outcome.study.trials) == 8
    assert outcome.verdict.decided_at > trials[1] == outcome.verdict.later_from
    assert decision[:2] == ("tuned" if outcome.verdict.adopted else "not_tuned", outcome.verdict.rule)
    assert outcome.verdict.adopted == (result["interval"][0] > 0 and result["gain"] >= TUNING.rule.min_gain)
    assert json.loads(decision[2])["after"] == result["after"]
    (again,) = tune()
    assert again.study is None
    assert "verdict stands until" in again.reason


def test_a_study_with_too_few_trials_decides_nothing_and_is_continued(market: Market):
    journal = Journal(market.lake, "run-t")
    weak = replace(
        POOLED, walk_forward=replace(POOLED.walk_forward, prior=PriorConfig(iterations=120, threads=1))
    )

    def tune(trials: int):
        config = replace(TUNING, study=replace(TUNING.study, trials=trials), min_trials=3)
        (outcome,) = tune_markets(journal, 600, config=config, pooled=weak, features=FEATURES)
        return outcome

    first = tune(2)
    assert first.verdict is None
    assert "the study continues" in first.reason
    second = tune(4)
    assert [trial.params for trial in second.study.trials[:2]] == [
        trial.params for trial in first.study.trials
    ]
    assert second.verdict is not None


def test_only_collections_worth_it_are_tuned_and_a_class_without_a_gain_rests(market: Market):
    _walk(market, "run-0")
    train(market)
    rule = WorthRule(min_sales=500, studies=3, class_studies=1)
    config = replace(TUNING, rule=replace(TUNING.rule, min_gain=2.0))  # nothing can pay
    config = replace(config, windows=replace(config.windows, folds=1, refits=1))

    def tune() -> list:
        return tune_collections(
            Journal(market.lake, "run-t"), 600, config=config, rule=rule, local=LocalConfig(iterations=80),
            features=FEATURES,
        )  # fmt: skip

    outcomes = tune()
    assert [(o.kind, o.scope) for o in outcomes] == [
        ("collection", "apes"),
        ("class", "ethereum, under 3,000 sales"),
    ]
    assert not any(o.verdict and o.verdict.adopted for o in outcomes)
    assert tune() == []


def test_an_interruption_ends_the_studies_that_run_and_keeps_their_trials(market: Market):
    _walk(market, "run-0")
    train(market)
    endless = replace(TUNING, study=StudyConfig(seconds=600, trials=100_000))
    endless = replace(endless, windows=replace(TUNING.windows, folds=1, refits=1))
    journal = Journal(market.lake, "run-t")

    def interrupt_after_a_trial() -> None:
        while not _trials(market):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_after_a_trial, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        tune_collections(
            journal, 600, config=endless, rule=WorthRule(min_sales=500), local=LocalConfig(iterations=60),
            features=FEATURES, backend=ThreadBackend(2),
        )  # fmt: skip
    kept = _trials(market)
    assert 1 <= kept < 100_000
    time.sleep(0.5)
    assert _trials(market) == kept


def _trials(market: Market) -> int:
    with market.lake.read() as con:
        row = con.execute("select count(*) from ops.tuning_trials").fetchone()
    assert row is not None
    return row[0]


def test_a_collection_that_cannot_be_read_costs_neither_the_budget_nor_the_run(market: Market):
    _walk(market, "run-0")
    train(market)
    config = replace(TUNING, windows=replace(TUNING.windows, folds=1, refits=1))

    def tune() -> list:
        return tune_collections(
            Journal(market.lake, "run-t"), 600, config=config, rule=WorthRule(min_sales=500, class_studies=9),
            local=LocalConfig(iterations=20), features=FEATURES,
        )  # fmt: skip

    with market.lake.write("set aside") as con:
        con.execute(
            "insert into ops.set_aside by name select 'features.sale_features' as stage, 'apes' as collection"
        )
    assert tune() == []
    with market.lake.write("not built") as con:
        con.execute("delete from ops.set_aside")
        con.execute("create table kept as from features.sale_features")
        con.execute("delete from features.sale_features where collection = 'apes'")
    (skipped,) = tune()
    assert (skipped.scope, skipped.study, "no features" in skipped.reason) == ("apes", None, True)
    with market.lake.write("one token has another number of traits") as con:
        con.execute("delete from features.sale_features")
        con.execute("insert into features.sale_features from kept")
        con.execute("drop table kept")
        con.execute(
            "update marts.dim_tokens set trait_values = ['x'] where collection = 'apes' and token_id = '1'"
        )
    (ragged,) = tune()
    assert (ragged.scope, ragged.study) == ("apes", None)
    assert "expected 2 trait values" in ragged.reason
