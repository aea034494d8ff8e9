"""A damaged home repairs itself: lost model files, a run killed between two stages."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lake.content import content, differences
from ml.accuracy.walk_forward_report import accuracy_due, accuracy_report
from ml.models.collection_reader import read_collections
from ml.models.frames import FeatureSet
from ml.models.local import LocalConfig, fit_local
from ml.registry.mirror import read_champions, record
from ml.states import Tier
from orchestration.alerts.store import Outbox
from orchestration.definitions import open_location
from orchestration.home import open_instance, prepare_home
from orchestration.resources import Assay
from orchestration.runs.job_runner import JobRunner
from orchestration.runs.main_job import (
    _train_what_is_due,
    ingest_and_build,
    retrain_collections,
    run_everything,
)
from orchestration.settings import Settings, load_settings
from tests.model_files import folder_of

pytestmark = pytest.mark.slow

MODELS = ("predictions",)


def settings_of(home: Path) -> Settings:
    return load_settings(home=home, collections=6, days=90, seed=3, refits=2, threads=1)


class Killed(BaseException):
    """Stands for `kill -9`."""


class KilledRunner(JobRunner):
    """A runner whose process is killed when a stage has ended."""

    def __init__(self, settings: Settings, instance: Any, killed_after: str | None = None) -> None:
        super().__init__(open_location(settings), instance)
        self.ran: list[str] = []
        self.killed_after = killed_after

    def run(self, job: str, *, assets: list[str] | None = None, **options: Any) -> Any:
        result = super().run(job, assets=assets, **options)
        self.ran.append(assets[0] if assets else job)
        if self.ran[-1] == self.killed_after:
            raise Killed
        return result


def after_building(settings: Settings, killed_after: str | None = None, *, watch: bool = True) -> list[str]:
    """What `assay run` does once nothing is left to ingest and build; returns the stages that ran."""
    with open_instance(settings) as instance:
        runner = KilledRunner(settings, instance, killed_after)
        if killed_after:
            with pytest.raises(Killed):
                _stages(runner, watch)
        else:
            _stages(runner, watch)
    return runner.ran


def _stages(runner: KilledRunner, watch: bool) -> None:
    _train_what_is_due(runner, lambda _: None)
    runner.run("score")
    if watch:
        runner.run("monitor")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home before its first training."""
    folder = tmp_path_factory.mktemp("built")
    settings = settings_of(folder)
    prepare_home(settings)
    with open_instance(settings) as instance:
        ingest_and_build(JobRunner(open_location(settings), instance))
    return folder


@pytest.fixture(scope="module")
def trained(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after an undisturbed run."""
    folder = tmp_path_factory.mktemp("trained") / "home"
    shutil.copytree(built, folder)
    after_building(settings_of(folder))
    return folder


def copy(home: Path, target: Path) -> Settings:
    shutil.copytree(home, target / "home")
    return settings_of(target / "home")


def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with Assay(settings).lake.read() as con:
        return con.execute(sql).fetchall()


def plant_booster(settings: Settings) -> str:
    """Give the largest collection a booster of its own, which the gate would not have; returns the collection."""
    assay = Assay(settings)
    with assay.lake.read() as con:
        ((key, sales),) = con.execute(
            "select collection, count(*) from predictions.prior_walk_forward group by 1 order by 2 desc limit 1"
        ).fetchall()
        (read,) = read_collections(con, [key], [sales], FeatureSet.declared(), 250_000)
        current = read_champions(con, [key])[key]
    booster = fit_local(
        read.inputs, read.target_log - read.prediction_log, LocalConfig(iterations=20), time.monotonic() + 60
    )
    planted = replace(
        current, tier=Tier.OWN, local_sha=assay.registry.artifacts.put_model(booster), weight=0.2, version=0
    )
    with assay.lake.write("plant") as con:
        record(con, [assay.registry.promote(planted, current)], [])
    return str(key)


def valued(settings: Settings) -> int:
    return rows(settings, "select count(estimate_eth) from predictions.token_estimates")[0][0]


def referred_to(settings: Settings) -> set[str]:
    shas = rows(
        settings,
        "select unnest([prior_sha, scale_sha]) from ops.prior_folds union select local_sha from ops.champions",
    )
    return {sha for (sha,) in shas if sha is not None}


def incidents(settings: Settings) -> list[tuple[str, str]]:
    found = Outbox.of(settings.home_path).rows("select key, state from incidents where key like 'file/%'")
    return [(row["key"], row["state"]) for row in found]


def test_each_model_file_may_be_lost(trained: Path, tmp_path: Path) -> None:
    settings = copy(trained, tmp_path)
    plant_booster(settings)
    after_building(settings, watch=False)
    expected, artifacts = valued(settings), Assay(settings).registry.artifacts
    files = sorted(folder_of(artifacts).rglob("*.cbm"))
    needed = {path for path in files if path.stem in referred_to(settings)}
    assert len(needed) == 3, "prior and scale model of a fold, and a booster; the newest fold was rejected"
    for number, path in enumerate(files):
        if number % 2:
            path.write_bytes(path.read_bytes()[:-1])
        else:
            path.unlink()
        after_building(settings, watch=number == len(files) - 1)
        assert valued(settings) == expected
        assert artifacts.problem(path.stem) is None or path.stem not in referred_to(settings)
    decisions = rows(
        settings, "select collection, action, reason from ops.decision_log where rule = 'model_file_lost'"
    )
    assert len(decisions) == len(needed)
    assert all(any(str(path) in reason for _, _, reason in decisions) for path in needed)
    keys = incidents(settings)
    assert len(keys) == len(needed)
    assert {state for _, state in keys} == {"resolved"}


def test_all_model_files_may_be_lost_at_once(trained: Path, tmp_path: Path) -> None:
    settings = copy(trained, tmp_path)
    before = content(Assay(settings).lake, MODELS)
    shutil.rmtree(settings.home_path / "artifacts")
    with open_instance(settings) as instance:
        run_everything(open_location(settings), instance)
    assert differences(before, content(Assay(settings).lake, MODELS)) == []
    assert {state for _, state in incidents(settings)} == {"resolved"}


def test_the_hourly_scoring_goes_on_without_them_and_alerts(trained: Path, tmp_path: Path) -> None:
    settings = copy(trained, tmp_path)
    key, expected = plant_booster(settings), valued(settings)
    shutil.rmtree(settings.home_path / "artifacts")
    with open_instance(settings) as instance:
        runner = JobRunner(open_location(settings), instance)
        runner.run("score")
        runner.run("monitor")
    assert valued(settings) == expected
    tiers = dict(rows(settings, "select distinct collection, tier from predictions.token_estimates"))
    assert tiers[key] == "index_rarity"
    assert len(incidents(settings)) == 3
    assert {state for _, state in incidents(settings)} == {"open"}
    after_building(settings)
    assert valued(settings) == expected
    tiers = dict(rows(settings, "select distinct collection, tier from predictions.token_estimates"))
    assert tiers[key] == "pooled", "valued again, by the tier its sales support"
    assert {state for _, state in incidents(settings)} == {"resolved"}


def test_a_training_out_of_turn_fits_again_what_it_needs(trained: Path, tmp_path: Path) -> None:
    settings = copy(trained, tmp_path)
    key = plant_booster(settings)
    shutil.rmtree(settings.home_path / "artifacts")
    with Assay(settings).lake.write("sales that the prior has not seen") as con:
        con.execute(
            "delete from predictions.prior_walk_forward where known_at >"
            " (select max(known_at) - interval 2 day from predictions.prior_walk_forward)"
        )
    with open_instance(settings) as instance:
        counts, _ = retrain_collections(open_location(settings), instance, [key], "a test")
    assert sum(counts.values()) == 1
    assert "failed" not in counts
    after_building(settings)
    assert {state for _, state in incidents(settings)} == {"resolved"}


def test_a_run_killed_between_two_stages_is_finished_by_the_next(
    built: Path, trained: Path, tmp_path: Path
) -> None:
    settings = copy(built, tmp_path)
    stages = ["pooled_prior", "retrain_worklist", "walk_forward_accuracy", "score"]
    assert [after_building(settings, killed_after=stage)[-1] for stage in stages] == stages
    assert after_building(settings) == ["score", "monitor"]
    undisturbed = settings_of(trained)
    assert differences(content(Assay(undisturbed).lake, MODELS), content(Assay(settings).lake, MODELS)) == []
    ledger = "select count(*), count(estimate_eth) from monitoring.estimate_ledger"
    assert rows(settings, ledger) == rows(undisturbed, ledger)
    with Assay(settings).lake.read() as con:
        assert not accuracy_due(con)
        (stored,) = con.execute("select document from monitoring.accuracy_report").fetchall()
        assert json.loads(stored[0]) == json.loads(json.dumps(accuracy_report(con)))


def test_a_training_outside_a_run_makes_the_accuracy_due(trained: Path, tmp_path: Path) -> None:
    settings = copy(trained, tmp_path)
    with Assay(settings).lake.write("as a home made before") as con:
        # What migrating it leaves: the column was added, without a value.
        con.execute("update monitoring.accuracy_report set basis = null")
    assert after_building(settings, watch=False) == ["walk_forward_accuracy", "score"]
    assert after_building(settings, watch=False) == ["score"]
    with Assay(settings).lake.write("as after `assay retrain`") as con:
        con.execute("update predictions.prior_walk_forward set half_80 = half_80 + 0.01")
    assert after_building(settings, watch=False) == ["walk_forward_accuracy", "score"]
