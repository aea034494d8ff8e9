"""The history of a collection: in order, with the effect of each decision, and a message where there is nothing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.registry.mirror import Decision, record
from ml.tables.registry import TABLES
from orchestration.alerts.outbox import Alert, raise_alert
from orchestration.alerts.store import Outbox
from orchestration.decisions.reading import read_history
from orchestration.errors import HomeError
from orchestration.home import prepare_home
from orchestration.settings import load_settings
from orchestration.states import Severity
from tests.command import Done, assay, modules_of

START = datetime(2025, 3, 1)  # noqa: DTZ001 - the lake keeps naive UTC
NOW = START + timedelta(days=40)


def decision(
    collection: str, day: int, action: str, rule: str, challenger: str, champion: str | None
) -> Decision:
    return Decision(
        START + timedelta(days=day), f"run-{day}", collection, action, rule, f"because of {rule}",
        {"candidate": 0.1, "n": 200}, challenger, champion,
    )  # fmt: skip


def ledger(collection: str, first_day: int, days: int, off: float) -> pa.Table:
    """One live arm's-length sale a day at 1 ETH, estimated `off` too high."""
    rows = [
        {
            "collection": collection,
            "event_time": START + timedelta(days=day, hours=12),
            "as_of": START + timedelta(days=day, hours=1),
            "price_eth": 1.0,
            "estimate_eth": 1.0 + off,
            "med_5_eth": 1.5,
            "is_arms_length": True,
            "origin": "live",
        }
        for day in range(first_day, first_day + days)
    ]
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    prepare_home(load_settings(home=folder))
    lake = Lake(LakeConfig(home=folder), TABLES)
    with lake.write("a market with a past") as con:
        con.execute(
            "insert into marts.dim_collections by name"
            " select * from (values ('apes', 'ethereum'), ('quiet-apes', 'ethereum')) t(collection, chain)"
        )
        record(
            con,
            [],
            [
                decision("apes", 20, "promoted", "beats_baselines", "apes@2", "apes@1"),
                decision("(pooled prior) ethereum", 0, "promoted", "beats_baselines", "prior-b", None),
                decision("apes", 0, "promoted", "beats_baselines", "apes@1", None),
                decision("apes", 30, "rejected", "no_better", "apes@3", "apes@2"),
                decision("apes", 30, "kept", "unchanged", "apes@2", "apes@2"),
                decision("others", 5, "promoted", "beats_baselines", "others@1", None),
            ],
        )
        rows = pa.concat_tables([ledger("apes", 1, 18, 0.10), ledger("apes", 21, 3, 0.40)])
        con.register("rows", rows)
        con.execute("create or replace table monitoring.estimate_ledger as select * from rows")
        con.unregister("rows")
        con.execute(
            """
            insert into ops.retrain_queue by name
            select 'apes' as collection, 'retrain' as kind, 'errs more' as reason, 12.5 as priority, 2 as attempts,
                'queued' as state, timestamp '2025-03-15' as first_seen
            """
        )
    raise_alert(
        Outbox.of(folder),
        Alert(
            "drift/apes", Severity.TICKET, "apes drifted", "prices moved", "online-error", "assay why apes"
        ),
        NOW,
    )
    return folder, lake


def test_the_history_is_in_order_and_about_this_collection_only(home):
    folder, lake = home
    with lake.read() as con:
        history = read_history(con, folder, "apes", NOW)
    events = [(event.kind, event.what) for event in history.events]
    assert events == [
        ("prior", "promoted"),
        ("decision", "promoted"),
        ("queue", "retrain, queued"),
        ("decision", "promoted"),
        ("decision", "rejected"),
        ("decision", "kept"),
        ("alert", "ticket, open"),
    ]
    assert [event.at for event in history.events[:-1]] == sorted(event.at for event in history.events[:-1])
    assert history.events[1].numbers == {"candidate": 0.1, "n": 200}
    assert history.events[1].rule == "beats_baselines"


def test_a_decision_has_the_errors_of_its_estimates_until_the_next_one(home):
    folder, lake = home
    with lake.read() as con:
        first, second, rejected, kept = read_history(con, folder, "apes", NOW).decisions
    assert first.effect.mdape is not None
    assert first.effect.median_5 is not None
    assert (first.effect.sales, round(first.effect.mdape, 9), first.effect.mdape_before) == (18, 0.1, None)
    assert round(first.effect.median_5, 9) == 0.5
    # Three sales are too few to measure an effect.
    assert (second.effect.sales, second.effect.mdape) == (3, None)
    assert second.effect.mdape_before == first.effect.mdape
    assert rejected.effect is None
    assert kept.effect is None


def test_an_effect_that_a_monitoring_pass_has_recorded_is_the_one_shown(home):
    folder, lake = home
    with lake.write("record an effect") as con:
        con.execute(
            """
            insert into ops.decision_effects by name
            select 'apes' as collection, $at as decided_at, 'run-20' as run_id, 'promoted' as action,
                50 as n_before, 0.3 as mdape_before, 40 as n_after, 0.2 as mdape_after, 0.25 as med_5_after,
                'helped' as verdict
            """,
            {"at": START + timedelta(days=20)},
        )
    with lake.read() as con:
        effect = read_history(con, folder, "apes", NOW).decisions[1].effect
    assert (effect.mdape, effect.mdape_before, effect.verdict) == (0.2, 0.3, "helped")


def test_a_collection_without_decisions_is_reported_as_such(home):
    folder, _ = home
    done = why(folder, "quiet-apes")
    assert done.returncode == 0, done.stderr
    assert "Nothing was decided about this collection itself yet." in done.stdout
    assert "beats_baselines" in done.stdout  # its market's prior is part of its history


def test_an_unknown_collection_is_answered_with_what_comes_close(home):
    folder, lake = home
    with lake.read() as con, pytest.raises(HomeError, match="did you mean apes"):
        read_history(con, folder, "appes", NOW)
    done = why(folder, "appes")
    assert done.returncode == 2
    assert "did you mean apes" in done.stderr


def test_json_has_the_same_history(home):
    folder, _ = home
    document = json.loads(why(folder, "apes", "--json").stdout)
    assert (document["collection"], document["market"], document["decided"]) == ("apes", "ethereum", 4)
    assert document["events"][1]["models"] == [None, "apes@1"]
    assert "ops.tuned_settings" in document["not_kept"]


def why(home: Path, *arguments: str) -> Done:
    return assay("why", *arguments, "--home", str(home))


def test_what_only_reads_loads_neither_dagster_nor_a_model_library() -> None:
    program = (
        "import orchestration.cli.why, orchestration.decisions.reading, orchestration.retraining.notices\n"
        "import orchestration.home, orchestration.resources\n"
    )
    assert not modules_of(program) & {"catboost", "dagster", "mlflow", "numba"}
