"""The main job on a small simulated market: its results, and what running it again changes."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import content, differences
from ml.portfolio.valuation import tokens_of, value_portfolio
from ml.registry.artifacts import ArtifactStore
from orchestration.definitions import build_defs, open_location
from orchestration.home import open_instance, prepare_home
from orchestration.runs.job_runner import JobRunner
from orchestration.runs.main_job import ingest_and_build
from orchestration.settings import load_settings
from serving.api.app import build_app
from serving.api.config import ApiConfig
from serving.explainer.source import ReasonSource
from serving.store.protocol import TokenQuery
from serving.store.publication import PublicationConfig, publish
from serving.store.reasons import ReasonsConfig
from serving.store.sqlite.store import SqliteStore
from serving.views.portfolio import wallet_answer
from tests.command import assay
from tests.homes import finished_market

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made, found = finished_market(tmp_path_factory)
    folder = tmp_path_factory.mktemp("market") / "home"
    shutil.copytree(made, folder)
    return folder, found


def _lake(home: Path) -> Lake:
    return Lake(LakeConfig(home=home))


def test_every_token_has_an_estimate_or_a_reason(home):
    folder, summary = home
    with _lake(folder).read() as con:
        [(tokens, answered)] = con.execute(
            "select (select count(*) from marts.dim_tokens), count(*) from predictions.token_estimates"
            " where (estimate_eth is null) <> (no_value_reason is null)"
        ).fetchall()
    assert tokens == answered == summary["tokens"] > 0
    assert summary["tokens_estimated"] > 0


def test_the_json_has_its_documented_fields(home):
    _, summary = home
    promised = {
        "collections",
        "tokens_estimated",
        "sales",
        "quarantined",
        "models_by_tier",
        "errors",
        "stages",
        "peak_rss_mb",
        "reconciliation",
    }
    assert promised <= set(summary)
    assert {"name", "seconds", "rows"} == set(summary["stages"][0])
    assert all(row["difference"] == 0 for row in summary["reconciliation"])


def test_the_published_store_has_what_the_lake_has(home):
    folder, _ = home
    edition = SqliteStore(folder / "serving").current()
    with _lake(folder).read() as con:
        rows = con.execute(
            "select collection, token_id, estimate_eth, grade, no_value_reason from predictions.token_estimates"
        ).fetchall()
        owner = con.execute("select mode(owner) from marts.fct_holdings").fetchone()[0]
        portfolio = value_portfolio(con, tokens_of(con, owner))
    numbers = {name: edition.resolve(name, "name")[0].id for name in {row[0] for row in rows}}
    published = edition.estimates([(numbers[row[0]], row[1]) for row in rows])
    for collection, token, *expected in rows:
        answer = json.loads(published[numbers[collection], token])
        assert [answer[name] for name in ("estimate_eth", "grade", "no_value_reason")] == expected
    wallet = json.loads(wallet_answer(edition, owner, now=0.0))
    assert wallet["value_eth"] == pytest.approx(portfolio.sum_eth)
    assert wallet["interval_80_eth"] == pytest.approx([portfolio.lower_80_eth, portfolio.upper_80_eth])
    assert wallet["interval_method"] == portfolio.method


def test_reasons_add_up_to_the_published_estimate_computed_on_demand_and_published(home, tmp_path):
    folder, _ = home
    config = PublicationConfig(reasons=ReasonsConfig(collections=1, tokens=5))
    with _lake(folder).read() as con:
        publish(
            con,
            tmp_path,
            datetime.fromisoformat("2026-01-01"),
            ArtifactStore.in_folder(folder / "artifacts"),
            config,
        )
    edition = SqliteStore(tmp_path).current()
    best = json.loads(edition.collections("value", True, None, 1)[0][2])["collection"]
    (number,) = (found.id for found in edition.resolve(best, "name"))
    asked = ApiConfig(
        folder / "serving",
        folder / "api",
        reasons=ReasonSource.of_home(_lake(folder).config),
        time_limit_s=300.0,
    )
    with TestClient(build_app(asked)) as client:
        for token in edition.tokens(number, TokenQuery(by="value", descending=True, limit=5)):
            published = json.loads(edition.explanation(number, token.token) or b"")
            answer = client.get(f"/v1/tokens/{best}/{token.token}/explanation")
            assert answer.status_code == 200
            assert {name: answer.json()[name] for name in published} == published
            assert published["consistent"]
            assert sum(step["eth_effect"] for step in published["steps"]) == pytest.approx(token.rank_eth)
            assert published["watermark"].endswith("Z")


def test_reasons_that_are_asked_for_are_published_the_next_time(home, tmp_path):
    folder, _ = home
    config = PublicationConfig(reasons=ReasonsConfig(asked=3))
    as_of, artifacts = datetime.fromisoformat("2026-01-01"), ArtifactStore.in_folder(folder / "artifacts")
    with _lake(folder).read() as con:
        [(collection, token)] = con.execute(
            "select collection, token_id from predictions.token_estimates where estimate_eth is not null limit 1"
        ).fetchall()
        assert not publish(con, tmp_path, as_of, artifacts, config).rows.get("explanations")
        served = ApiConfig(
            tmp_path, tmp_path / "api", reasons=ReasonSource.of_home(_lake(folder).config), time_limit_s=300.0
        )
        with TestClient(build_app(served)) as client:
            computed = client.get(f"/v1/tokens/{collection}/{token}/explanation").json()
        assert publish(con, tmp_path, as_of, artifacts, config).rows["explanations"] == 1
        assert not publish(con, tmp_path, as_of, artifacts, config).is_new
    with TestClient(build_app(ApiConfig(tmp_path, tmp_path / "api"))) as client:
        published = client.get(f"/v1/tokens/{collection}/{token}/explanation").json()
    differ = {"publication", "age_s"}
    assert {k: v for k, v in published.items() if k not in differ} == {
        k: v for k, v in computed.items() if k not in differ
    }


def test_nothing_in_an_estimate_was_known_at_or_after_its_as_of(home):
    folder, _ = home
    with _lake(folder).read() as con:
        late = con.execute(
            "select count(*) from predictions.token_estimates where feature_watermark >= as_of"
        ).fetchone()
    assert late == (0,)


def test_every_model_decision_is_in_the_log_with_its_reason(home):
    folder, summary = home
    with _lake(folder).read() as con:
        [(decided, reasoned, champions)] = con.execute(
            "select count(*), count_if(length(reason) > 0), (select count(*) from ops.champions)"
            " from ops.decision_log where collection not like '(pooled prior)%'"
        ).fetchall()
    assert decided == reasoned == sum(summary["trained"].values())
    assert champions > 0


def test_trained_collections_are_materialized_partitions(home):
    folder, _ = home
    import dagster as dg

    settings = load_settings(home=folder)
    with open_instance(settings) as instance, _lake(folder).read() as con:
        materialized = instance.get_materialized_partitions(dg.AssetKey("price_models"))
        judged = {
            row[0]
            for row in con.execute(
                "select distinct collection from ops.decision_log"
                " where collection not like '(pooled prior)%' and action in ('promoted', 'fell_back')"
            ).fetchall()
        }
    assert set(materialized) == judged


def test_running_again_from_the_ui_changes_nothing(home):
    """The job `everything` is the same main job, and there is nothing new to do."""
    folder, _ = home
    before, decided = content(_lake(folder)), _decisions(folder)
    settings = load_settings(home=folder)
    with open_instance(settings) as instance:
        result = build_defs(settings).resolve_job_def("everything").execute_in_process(instance=instance)
    assert result.success
    assert differences(before, content(_lake(folder))) == []
    assert _decisions(folder) == decided


def _decisions(home: Path) -> int:
    with _lake(home).read() as con:
        return con.execute("select count(*) from ops.decision_log").fetchone()[0]


def test_more_days_give_the_facts_and_features_of_a_run_from_scratch(home, tmp_path):
    """Incremental equals full, through every stage that has no model in it."""
    folder, _ = home
    stages = ("raw", "marts", "features")
    found = []
    for longer in (folder, tmp_path):
        settings = load_settings(home=longer, collections=12, days=124)
        prepare_home(settings)
        with open_instance(settings) as instance:
            runner = JobRunner(open_location(settings), instance)
            ingest_and_build(runner)
            runner.run("score", assets=["token_features"])
        found.append(content(_lake(longer), stages))
    day_by_day, at_once = found
    # A collection without a new sale keeps the features of its last build (with that `as_of`).
    for tables in (at_once, day_by_day):
        del tables["features.token_features"]
    assert differences(at_once, day_by_day) == []


def test_a_training_out_of_turn_learns_the_sales_since_the_last_prediction_of_the_prior(home):
    folder, _ = home
    with _lake(folder).read() as con:
        [(busiest,)] = con.execute(
            "select collection from features.sale_features group by 1 order by count(*) desc limit 1"
        ).fetchall()
        assert _newest(con, "predictions.prior_walk_forward") < _newest(con, "features.sale_features")
    done = assay("retrain", busiest, "--reason", "a test", "--home", str(folder))
    assert done.returncode == 0, done.stderr[-3000:]
    with _lake(folder).read() as con:
        assert _newest(con, "predictions.prior_walk_forward") == _newest(con, "features.sale_features")


def _newest(con, table: str) -> object:
    return con.execute(f"select max(known_at) from {table}").fetchone()[0]


def test_tuning_keeps_its_trials_and_its_verdict_or_the_reason_for_none(home):
    folder, _ = home
    verdicts = _tune(folder, "20s")
    assert [row["scope"] for row in verdicts] == ["simulated"]
    with _lake(folder).read() as con:
        kept = con.execute("select count(*), count(distinct study) from ops.tuning_trials").fetchone()
    assert kept == (verdicts[0]["trials"], 1)
    assert kept[0] > 0
    results = json.loads((folder / "reports" / "tuning.json").read_text())
    assert [row["name"] for row in results] == [
        row["scope"] for row in verdicts if row["adopted"] is not None
    ]


def _tune(home: Path, budget: str) -> list[dict]:
    done = assay("tune", "--json", "--home", str(home), "--scope", "pooled", "--budget", budget)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
