"""Ticks of the one automation condition: a pass follows a valuation, once, and never a partition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration.definitions import build_defs
from orchestration.monitoring.jobs import monitor
from orchestration.partitions import collections
from orchestration.settings import load_settings

WATCHED = {"estimate_ledger", "online_metrics", "drift_scores", "slo_status", "retrain_queue"}


class Daemon:
    """The daemon's ticks over a real instance with three thousand partitions."""

    def __init__(self, defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self.defs, self.instance = defs, instance
        self.cursor = dg.evaluate_automation_conditions(defs, instance).cursor

    def update(self, *names: str) -> None:
        for name in names:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(name))

    def tick(self) -> set[str]:
        """Names of what was requested; a partition would be named with its key."""
        evaluated = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self.cursor)
        self.cursor = evaluated.cursor
        asked = {
            key.to_user_string()
            for key in self.defs.resolve_all_asset_keys()
            if evaluated.get_num_requested(key)
        }
        assert evaluated.total_requested == len(asked), "more than one materialization of an asset"
        return asked


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    defs = build_defs(load_settings(home=tmp_path, collections=1))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(collections.name), [f"c{i:04}" for i in range(3000)])
        yield Daemon(defs, instance)


def test_a_pass_follows_a_valuation_once(daemon: Daemon) -> None:
    assert daemon.tick() == set()
    daemon.update("token_estimates")
    assert daemon.tick() == WATCHED
    assert daemon.tick() == set()
    daemon.update("token_estimates", "token_estimates")
    assert daemon.tick() == WATCHED, "a second valuation is another pass"


def test_the_hourly_job_brings_its_own_pass(daemon: Daemon) -> None:
    daemon.update("fct_sales", "token_estimates", *sorted(WATCHED))
    assert daemon.tick() == set()


def test_between_valuing_and_watching_the_hourly_job_is_waited_for(daemon: Daemon) -> None:
    job = daemon.defs.resolve_job_def(monitor.name)
    run = daemon.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    daemon.update("token_estimates")
    assert daemon.tick() == set()
    daemon.update(*sorted(WATCHED))
    daemon.instance.report_run_failed(run)  # ended, with any result
    assert daemon.tick() == set(), "watched meanwhile"


def test_a_pass_that_failed_is_repeated(daemon: Daemon) -> None:
    job = daemon.defs.resolve_job_def(monitor.name)
    run = daemon.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    daemon.update("token_estimates")
    assert daemon.tick() == set()
    daemon.instance.report_run_failed(run)
    assert daemon.tick() == WATCHED


def test_a_refreshed_table_asks_for_no_partition_of_three_thousand(daemon: Daemon) -> None:
    """Nothing but a valuation is followed; a condition on partitions would request three thousand."""
    for _ in range(2):
        daemon.update("raw_sales", "fct_sales", "dim_tokens", "sale_features", "pooled_prior")
        daemon.update("online_metrics", "token_features")
        assert daemon.tick() == set()
