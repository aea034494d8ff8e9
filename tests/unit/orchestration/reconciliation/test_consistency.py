"""What is due is compared and kept, what differs is an incident until it is equal again, and the promise follows."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from orchestration.alerts.store import Outbox
from orchestration.clock import SetClock
from orchestration.home import prepare_home
from orchestration.ingestion.assets import ingest
from orchestration.reconciliation.assets import consistency, rows_differ
from orchestration.reconciliation.consistency import Pass, check_consistency
from orchestration.reconciliation.findings import Scope
from orchestration.reconciliation.rechecks import TARGET
from orchestration.reconciliation.reconcile import reconcile
from orchestration.resources import Assay, open_sources
from orchestration.settings import load_settings

pytestmark = pytest.mark.slow

HEADER = "collection,token_id,timestamp,price,currency,tx_hash\n"
ROWS = [f"apes,{n},2024-01-{1 + n // 3:02}T{n % 24:02}:00:00,{n + 1}.5,ETH,0x{n:064x}" for n in range(1, 31)]
NOW = datetime(2026, 3, 1)  # noqa: DTZ001 - the lake keeps naive UTC
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home of 30 sales; to be copied."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "data").mkdir()
    (folder / "data" / "sales.csv").write_text(HEADER + "\n".join(ROWS) + "\n")
    assay = opened(folder / "home", folder / "data")
    prepare_home(assay.settings)
    ingest(assay, ["sales"])
    return folder


def opened(home: Path, data: Path) -> Assay:
    open_sources.cache_clear()
    return Assay(load_settings(home=home, source="files", data_dir=data), SetClock(NOW))


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Assay:
    shutil.copytree(made / "home", tmp_path / "home")
    return opened(tmp_path / "home", made / "data")


def one_pass(assay: Assay, **given: float) -> Pass:
    return check_consistency(assay, np.random.default_rng(1), **given)


def query(assay: Assay, sql: str) -> list[tuple]:
    with assay.lake.read() as con:
        return con.execute(sql).fetchall()


def forward(assay: Assay, by: timedelta) -> None:
    assert isinstance(assay.clock, SetClock)
    assay.clock.forward(by)


def test_days_are_compared_and_kept_and_the_bound_falls_as_days_go_by(home: Assay) -> None:
    first = one_pass(home)
    # The last day was not over when it was read.
    assert (len(first.current), first.compared, first.rows_compared) == (10, 10, 29)
    assert (first.bound.bound, first.exposure_days) == (1.0, 0.0)
    forward(home, DAY)
    second = one_pass(home)
    assert (second.compared, second.exposure_days) == (10, 10.0)
    assert second.bound.bound == pytest.approx(1 - 0.05 ** (1 / 10))
    assert query(home, "select sum(checks), min(clean_at), count(*) from ops.segment_lives") == [
        (20, NOW + DAY, 10)
    ]
    assert query(home, "select checked_at, bound, segments_compared from ops.consistency order by 1") == [
        (NOW, 1.0, 10),
        (NOW + DAY, second.bound.bound, 10),
    ]


def test_a_pass_compares_no_more_rows_than_it_may_and_the_next_goes_on(home: Assay) -> None:
    first = one_pass(home, rows_at_once=8)
    assert 8 <= first.rows_compared <= 8 + 2
    assert first.bound.bound == 1.0
    second = one_pass(home, rows_at_once=8)
    assert {life.key for life in second.current if life.is_checked} > {
        life.key for life in first.current if life.is_checked
    }


def test_nothing_is_due_once_enough_is_known_and_what_is_due_next_is_kept(home: Assay) -> None:
    one_pass(home)
    # Ten days of rows that were equal for a thousand years.
    with home.lake.write("much evidence") as con:
        con.execute("update ops.segment_lives set begins_at = begins_at - interval 365000 day")
    forward(home, DAY)
    done = one_pass(home)
    assert done.compared == 0
    assert done.method == "rule_of_three"
    assert done.bound.bound < TARGET
    (due_at,) = query(home, "select distinct due_at from ops.segment_lives")[0]
    forward(home, due_at - NOW - 2 * DAY)
    assert one_pass(home).due == 0
    forward(home, DAY)
    assert one_pass(home).due == 10


def test_a_difference_is_an_incident_until_the_rows_are_equal_again(home: Assay) -> None:
    one_pass(home)
    with home.lake.write("harm") as con:
        con.execute("delete from raw.sales where token_id in ('7', '8')")
        con.execute("update raw.sales set price_native = 9 where token_id = '20'")
    forward(home, DAY)
    done = dg.materialize([consistency], resources={"assay": home})
    metadata = done.asset_materializations_for_node("consistency")[0].metadata
    assert metadata["rows_differing"].value == 3
    assert "data:image/png" in str(metadata["bound_by_days"].value)
    assert query(
        home,
        "select life, day::varchar, differing_rows, clean_at, found_at from ops.segment_lives"
        " where found_at is not null order by day",
    ) == [(1, "2024-01-03", 2, NOW, NOW + DAY), (1, "2024-01-07", 1, NOW, NOW + DAY)]
    (incident,) = Outbox.of(home.settings.home_path).rows("select * from incidents where state = 'open'")
    assert (incident["key"], incident["runbook"]) == ("rows_differ/sales/files", "rows-differ")
    assert "3 row(s) of raw.sales differ from source files" in incident["title"]
    assert "2024-01-03, 2024-01-07" in incident["body"]

    forward(home, DAY)
    again = one_pass(home)
    assert [alert.key for alert in rows_differ(again)] == [incident["key"]]
    assert again.bound.bound > 3 / 29

    reconcile(home, Scope(source="files", table="sales"), repair=True)
    forward(home, DAY)
    repaired = one_pass(home)
    assert rows_differ(repaired) == []
    assert repaired.differences == 2
    assert query(
        home,
        "select life, begins_at, clean_at, found_at from ops.segment_lives where day = '2024-01-03' order by 1",
    ) == [(1, NOW, NOW, NOW + DAY), (2, NOW + 3 * DAY, NOW + 3 * DAY, None)]


def test_what_cannot_be_compared_is_named_and_counts_as_not_compared(home: Assay) -> None:
    for file in Path(home.lake.data_folder).rglob("raw/sales/**/*.parquet"):
        file.write_bytes(b"PAR1 no table PAR1")
    done = one_pass(home)
    assert (done.compared, done.bound.bound) == (0, 1.0)
    assert "raw.sales against source files: it could not be compared" in done.problems[0]


def test_without_a_source_nothing_is_compared_and_the_pass_is_kept(home: Assay, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = one_pass(opened(home.settings.home_path, tmp_path / "empty"))
    assert (len(done.current), done.compared) == (10, 0)
    assert done.problems[0].startswith("no source can be read: ")
    assert query(home, "select segments, segments_compared, bound from ops.consistency") == [(10, 0, 1.0)]


def test_a_clock_that_was_set_back_takes_away_no_evidence(home: Assay) -> None:
    one_pass(home)
    forward(home, 3 * DAY)
    before = one_pass(home)
    forward(home, -10 * DAY)
    after = one_pass(home)
    assert after.exposure_days == before.exposure_days == 30
    assert query(home, "select min(begins_at), max(clean_at) from ops.segment_lives") == [
        (NOW, NOW + 3 * DAY)
    ]


def test_a_home_without_rows_promises_nothing_and_opens_no_source(tmp_path: Path) -> None:
    assay = Assay(load_settings(home=tmp_path / "home", source="files", data_dir=tmp_path), SetClock(NOW))
    done = one_pass(assay)
    assert (len(done.current), done.compared) == (0, 0)
    assert query(assay, "select count(*) from ops.consistency") == [(0,)]
