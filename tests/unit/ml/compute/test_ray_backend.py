"""A real Ray cluster of two machines' worth of processes: the same results as threads, whatever is lost."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ml.compute.backend import ThreadBackend
from ml.compute.ray_backend import ClusterError, RayBackend
from ml.compute.tasks import Raised
from ml.index.update import update_index
from ml.models.local import LocalConfig
from ml.training.collections import TrainingReport, train_collections
from ml.tuning.collections import tune_collections
from ml.tuning.journal import Journal
from ml.tuning.judgement import AdoptionRule
from ml.tuning.scope import TuningConfig
from ml.tuning.study import StudyConfig
from ml.tuning.worth import WorthRule
from tests.unit.ml.conftest import FEATURES, SIZES, TRAINING, Market, opened
from tests.unit.ml.features.market import make_sales, write_marts
from tests.unit.ml.index.oracle import SMALL_WINDOW
from tests.unit.ml.training.test_collections import train

pytestmark = pytest.mark.slow


class OddError(Exception):
    """It cannot be read back from what it is pickled as."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"{name} is {number}")


def square(number: int) -> int:
    return number * number


def fail_at_seven(number: int) -> int:
    if number == 7:
        raise OddError("seven", 7)
    if number == 8:
        raise ValueError("eight")
    return number


def end_the_process_at_seven(number: int) -> int:
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def note(task: tuple[str, int]) -> int:
    folder, number = task
    (Path(folder) / f"{number}-{time.monotonic_ns()}").touch()
    time.sleep(0.05)
    return number


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def backend(cluster: Any) -> RayBackend:
    return RayBackend(cluster.address, chunk=5)


def test_every_task_has_its_result_and_errors_are_results(backend: RayBackend) -> None:
    assert list(backend.run(square, [])) == []
    assert list(backend.run(square, [3])) == [(3, 9)]
    assert sorted(backend.run(square, iter(range(43)))) == [(n, n * n) for n in range(43)]
    found = dict(backend.run(fail_at_seven, range(12)))
    odd, plain = found.pop(7), found.pop(8)
    assert found == {n: n for n in range(12) if n not in (7, 8)}
    assert isinstance(odd, Raised)
    assert str(odd.error) == "OddError: seven is 7"
    assert isinstance(plain, Raised)
    assert isinstance(plain.error, ValueError)


def test_a_task_that_kills_its_worker_takes_no_other_with_it(cluster: Any) -> None:
    found = dict(RayBackend(cluster.address, chunk=5, tries=0).run(end_the_process_at_seven, range(12)))
    lost = found.pop(7)
    assert isinstance(lost, Raised)
    assert "WorkerCrashedError" in type(lost.error).__name__ + str(lost.error)
    assert found == {n: n for n in range(12) if n != 7}


def test_champions_are_the_same_as_on_threads(cluster: Any, priced: Market) -> None:
    def trained(backend: Any) -> TrainingReport:
        with priced.lake.read() as con:
            return train_collections(
                con,
                list(SIZES),
                priced.registry,
                run_id="run",
                snapshot_id=1,
                index_fingerprint="index-1",
                features=FEATURES,
                config=TRAINING,
                backend=backend,
            )

    def what_was_found(report: TrainingReport) -> dict[str, Any]:
        return {
            one.collection: one.candidate
            and (
                one.candidate.local_sha,
                one.candidate.weight,
                one.candidate.verdict,
                one.candidate.out_of_sample and one.candidate.out_of_sample.to_pydict(),
            )
            for one in report.outcomes
        }

    threads = what_was_found(trained(ThreadBackend()))
    assert any(found and found[0] for found in threads.values()), "a booster is compared, too"
    assert what_was_found(trained(RayBackend(cluster.address, chunk=2))) == threads


def test_the_index_is_the_same_as_on_threads(backend: RayBackend) -> None:
    """Of its first sales and of a day more, several chunks of several parts each."""
    sales = make_sales()

    def stored(where: Any) -> dict[str, Any]:
        con = duckdb.connect()
        for until in ("2024-03-20", "2025-01-01"):
            write_marts(con, sales[sales.known_at < until])
            update_index(con, where, params=SMALL_WINDOW, chunk_entries=100)
        return {
            table: con.execute(f"select * from features.{table} order by all").fetchall()
            for table in ("hedonic_index", "token_index", "index_state")
        }

    assert stored(backend) == stored(ThreadBackend())


def test_a_study_finds_the_same_as_on_threads(cluster: Any, priced: Market, tmp_path: Path) -> None:
    train(priced)
    config = TuningConfig(
        study=StudyConfig(seconds=600, trials=8),
        windows=replace(TuningConfig().windows, folds=1, refits=1),
        min_trials=6,
        rule=AdoptionRule(draws=200, seeds=(7,)),
    )

    def found(where: Any, home: Path) -> list[Any]:
        shutil.copytree(priced.lake.config.home, home, ignore=shutil.ignore_patterns("by_*"))
        (outcome,) = tune_collections(
            Journal(opened(home).lake, "run-t"),
            600,
            config=config,
            rule=WorthRule(min_sales=500, class_studies=9),
            local=LocalConfig(iterations=40),
            features=FEATURES,
            backend=where,
        )
        assert outcome.verdict
        assert outcome.study
        trials = [(t.params, t.state, t.value, t.folds, t.reason) for t in outcome.study.trials]
        return [outcome.scope, trials, outcome.verdict.numbers, outcome.verdict.params]

    on_threads = found(ThreadBackend(), tmp_path / "by_threads")
    assert len(on_threads[1]) == 8
    assert found(RayBackend(cluster.address), tmp_path / "by_ray") == on_threads


def test_who_stops_reading_ends_the_remote_work(cluster: Any, tmp_path: Path) -> None:
    tasks = ((str(tmp_path), number) for number in range(400))
    results = RayBackend(cluster.address, chunk=20).run(note, tasks)
    next(results)
    assert isinstance(results, Generator)
    results.close()
    time.sleep(1)
    begun = len(list(tmp_path.iterdir()))
    time.sleep(1)
    assert len(list(tmp_path.iterdir())) == begun
    assert begun < 200


def test_a_machine_that_is_lost_costs_only_another_try(cluster: Any, tmp_path: Path) -> None:
    """The cluster is smaller after it."""
    lost = cluster.add_node(num_cpus=1)
    found: list[int] = []
    for (_, number), result in RayBackend(cluster.address, chunk=10).run(
        note, ((str(tmp_path), number) for number in range(200))
    ):
        assert result == number
        found.append(number)
        if len(found) == 30:
            cluster.remove_node(lost, allow_graceful=False)
    assert sorted(found) == list(range(200))


def test_a_head_that_is_lost_is_one_sentence_and_ends_nothing_else(cluster: Any, tmp_path: Path) -> None:
    """The last test that has a cluster."""
    results = RayBackend(cluster.address, chunk=5).run(note, ((str(tmp_path), n) for n in range(400)))
    next(results)
    cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
    with pytest.raises(ClusterError, match="expected a Ray cluster at"):
        list(results)


def test_no_cluster_at_the_address_is_one_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    import ray

    ray.shutdown()
    for wrong in (address, "nowhere", "127.0.0.1:99999"):
        with pytest.raises(ClusterError, match="expected a Ray cluster at"):
            list(RayBackend(wrong).run(square, [1]))
