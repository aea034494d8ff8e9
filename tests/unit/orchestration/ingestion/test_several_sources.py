"""Several sources in one home: each replaces its own rows, and meets the others in one collection."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from orchestration.errors import HomeError
from orchestration.home import prepare_home, run_lock
from orchestration.ingestion.assets import ingest
from orchestration.ingestion.configured import describe_sources
from orchestration.ingestion.listed import add_source, remove_source
from orchestration.resources import Assay, open_sources
from orchestration.settings import SettingsError, load_settings
from sources.configuration import sources_as_yaml
from sources.files.errors import EmptyDirectoryError

# Each test makes a home and runs the asset on it: 2 to 5 s of CPU.
pytestmark = pytest.mark.slow

HEADER = "collection,contract,token_id,timestamp,price,currency,tx_hash\n"
APES = "0x" + "a" * 40
TABLES = ["sales", "transfers", "listings", "exchange_rates", "token_traits", "collections"]


def row(name: str, contract: str, token: int, day: int, price: float, tx: int) -> str:
    return f"{name},{contract},{token},2024-01-{day:02d}T10:00:00,{price},ETH,0x{tx:064x}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, *rows: str) -> Path:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        (directory / "sales.csv").write_text(HEADER + "".join(rows))
        return directory

    return write


@pytest.fixture
def home(tmp_path: Path, folder: Callable[..., Path]) -> Path:
    """A home of two sources: `named` knows the collection's name, `bare` its contract only."""
    named = folder("named", row("apes", APES, 1, 1, 1.5, 1), row("apes", APES, 2, 5, 2.5, 2))
    bare = folder(
        "bare", row("", APES, 1, 1, 1.6, 1), row("", APES, 3, 9, 3.5, 3), row("", APES, 4, 9, -1, 4)
    )
    path = tmp_path / "home"
    add(path, "named", named)
    add(path, "bare", bare, priority=2)
    return path


def add(home: Path, name: str, directory: Path, **more: Any) -> None:
    add_source(load_settings(home=home), {"name": name, "kind": "files", "data_dir": str(directory), **more})


def opened(home: Path) -> Assay:
    return Assay(load_settings(home=home))


def asked(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with opened(home).lake.read() as con:
        return con.execute(sql).fetchall()


def test_sources_that_know_a_collection_differently_share_it(home: Path) -> None:
    reports = ingest(opened(home), TABLES)
    assert (reports["sales"].rows, reports["sales"].quarantined) == (4, 1)
    assert asked(
        home, "select delivered_by, collection, count(*) from raw.sales group by all order by all"
    ) == [
        ("bare", "apes", 2),
        ("named", "apes", 2),
    ]
    assert asked(home, "select delivered_by, count(*) from raw.quarantine group by 1") == [("bare", 1)]
    assert asked(
        home, "select delivered_by, given, contract, collection from ops.collection_keys order by 1"
    ) == [
        ("bare", APES, APES, "apes"),
        ("named", "apes", APES, "apes"),
    ]
    again = ingest(opened(home), TABLES)
    assert sum(report.days for report in again.values()) == 0


def test_a_source_replaces_its_own_days_only(home: Path, folder: Callable[..., Path]) -> None:
    ingest(opened(home), TABLES)
    folder("bare", row("", APES, 1, 1, 1.7, 1), row("", APES, 3, 9, 3.5, 3))
    # Another process: the sources are opened anew.
    open_sources.cache_clear()
    report = ingest(opened(home), TABLES)["sales"]
    assert report.days == 2
    assert asked(home, "select delivered_by, price_native from raw.sales order by all") == [
        ("bare", 1.7),
        ("bare", 3.5),
        ("named", 1.5),
        ("named", 2.5),
    ]
    assert asked(home, "select count(*) from raw.quarantine") == [(0,)]


def test_a_contract_learnt_later_renames_the_rows_of_the_second_source(
    tmp_path: Path, folder: Callable[..., Path]
) -> None:
    home = tmp_path / "home"
    add(home, "first", folder("first", row("", APES, 1, 1, 1.5, 1)))
    add(home, "second", folder("second", row("apes", "", 2, 2, 2.5, 2)))
    ingest(opened(home), TABLES)
    assert asked(home, "select distinct collection from raw.sales order by 1") == [(APES,), ("apes",)]
    folder("second", row("apes", "", 2, 2, 2.5, 2), row("apes", APES, 3, 3, 2.5, 3))
    open_sources.cache_clear()
    ingest(opened(home), TABLES)
    assert asked(home, "select distinct collection from raw.sales") == [(APES,)]


def test_a_source_that_cannot_be_read_stops_no_other_and_keeps_its_rows(home: Path) -> None:
    ingest(opened(home), TABLES)
    before = opened(home).as_of
    (home.parent / "bare" / "sales.csv").unlink()
    open_sources.cache_clear()
    assay = opened(home)
    ingest(assay, TABLES)
    assert assay.as_of == before > datetime(2024, 1, 9)  # noqa: DTZ001 - the lake keeps naive UTC
    assert asked(home, "select count(*) from raw.sales") == [(4,)]
    states = {
        one["name"]: one["state"] for one in describe_sources(assay.lake, assay.settings.source_configs)
    }
    assert states == {"named": "ok", "bare": "cannot be read"}
    assert "bare" in assay.sources.left_out()[0]


def test_a_removed_source_leaves_no_row(home: Path) -> None:
    ingest(opened(home), TABLES)
    prepare_home(load_settings(home=home))
    assert remove_source(load_settings(home=home), "bare")["sales"] == 2
    assert asked(home, "select distinct delivered_by from raw.sales") == [("named",)]
    for table, column in (("ops.ingest_log", "source"), ("ops.collection_keys", "delivered_by")):
        assert asked(home, f"select distinct {column} from {table}") == [("named",)]
    with pytest.raises(HomeError, match="expected a source of this home"):
        remove_source(load_settings(home=home), "bare")
    with pytest.raises(HomeError, match="only source"):
        remove_source(load_settings(home=home), "named")
    assert asked(home, "select count(*) from raw.sales") == [(2,)]


def test_a_source_that_vanished_from_the_list_or_has_other_data_is_refused(
    home: Path, folder: Callable[..., Path]
) -> None:
    ingest(opened(home), TABLES)
    (home / "sources.yaml").write_text(sources_as_yaml(load_settings(home=home).source_configs[:1]))
    with pytest.raises(HomeError, match="assay sources remove bare"):
        ingest(opened(home), TABLES)
    add(home, "bare", folder("other", row("", APES, 1, 1, 1.6, 1)))
    with pytest.raises(HomeError, match="assay sources remove bare"):
        ingest(opened(home), TABLES)


def test_names_and_homes_that_do_not_fit_are_refused(
    home: Path, tmp_path: Path, folder: Callable[..., Path]
) -> None:
    with pytest.raises(HomeError, match="a name that this home does not have"):
        add(home, "bare", folder("other", row("", APES, 1, 1, 1.6, 1)))
    with pytest.raises(SettingsError, match="leave out source"):
        load_settings(home=home, source="simulator")
    own = tmp_path / "own.yaml"
    own.write_text(f"sources: [{{name: a, kind: files, data_dir: {tmp_path / 'named'}}}]")
    with pytest.raises(HomeError, match="change that file"):
        add_source(
            load_settings(home=tmp_path / "listed", sources=own),
            {"name": "b", "kind": "files", "data_dir": str(tmp_path / "bare")},
        )


def test_a_home_of_one_source_becomes_one_of_two(tmp_path: Path, folder: Callable[..., Path]) -> None:
    directory = folder("one", row("apes", APES, 1, 1, 1.5, 1))
    settings = load_settings(home=tmp_path / "home", source="files", data_dir=directory)
    prepare_home(settings)
    ingest(Assay(settings), TABLES)
    add(tmp_path / "home", "two", folder("two", row("", APES, 2, 2, 2.5, 2)))
    prepare_home(load_settings(home=tmp_path / "home"))
    ingest(opened(tmp_path / "home"), TABLES)
    assert asked(tmp_path / "home", "select delivered_by, collection from raw.sales order by 1") == [
        ("files", "apes"),
        ("two", "apes"),
    ]


def test_sources_that_are_added_at_once_are_all_in_the_list(
    tmp_path: Path, folder: Callable[..., Path]
) -> None:
    home, directory = tmp_path / "home", folder("one", row("apes", APES, 1, 1, 1.5, 1))
    names = [f"s{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: add(home, name, directory), names))
    assert {config.name for config in load_settings(home=home).source_configs} == set(names)


def test_the_list_is_not_changed_while_a_run_holds_the_home(
    home: Path, folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(opened(home), TABLES)
    monkeypatch.setenv("ASSAY_LOCK_TIMEOUT_S", "0")
    before = (home / "sources.yaml").read_text()
    with run_lock(home, 0):
        with pytest.raises(HomeError, match="is in use by"):
            remove_source(load_settings(home=home), "bare")
        with pytest.raises(HomeError, match="is in use by"):
            add(home, "third", folder("third", row("apes", APES, 1, 1, 1.5, 1)))
    assert (home / "sources.yaml").read_text() == before
    assert asked(home, "select count(*) from raw.sales where delivered_by = 'bare'") == [(2,)]


def test_a_source_of_a_list_elsewhere_keeps_its_rows_until_it_is_taken_from_that_list(
    home: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(sources_as_yaml(load_settings(home=home).source_configs))
    settings = load_settings(home=tmp_path / "listed", sources=own)
    prepare_home(settings)
    ingest(Assay(settings), TABLES)
    with pytest.raises(HomeError, match=f"listed in {own}"):
        remove_source(settings, "bare")
    assert asked(tmp_path / "listed", "select count(*) from raw.sales") == [(4,)]
    own.write_text(sources_as_yaml(settings.source_configs[:1]))
    assert remove_source(settings, "bare")["sales"] == 2


def test_a_source_that_was_never_read_and_one_that_never_was_leave_the_others_alone(
    home: Path, folder: Callable[..., Path]
) -> None:
    ingest(opened(home), TABLES)
    add(home, "third", folder("third", row("apes", APES, 1, 1, 1.5, 1)))
    assert set(remove_source(load_settings(home=home), "third").values()) == {0}
    for hostile in ("nobody", "a'; delete from raw.sales; --", "\x1b[31m", ""):
        with pytest.raises(HomeError, match="expected a source of this home"):
            remove_source(load_settings(home=home), hostile)
    assert asked(home, "select count(*) from raw.sales") == [(4,)]
    assert [config.name for config in load_settings(home=home).source_configs] == ["named", "bare"]


def test_adding_a_source_that_was_interrupted_can_be_repeated(
    tmp_path: Path, folder: Callable[..., Path]
) -> None:
    directory, home = folder("one", row("apes", APES, 1, 1, 1.5, 1)), tmp_path / "home"
    prepare_home(load_settings(home=home, source="files", data_dir=directory))
    ingest(opened(home), TABLES)
    market = (home / "market.json").read_text()
    second = folder("two", row("", APES, 2, 2, 2.5, 2))
    add(home, "two", second)
    # Killed after the list was written, and before the home remembered it.
    (home / "market.json").write_text(market)
    prepare_home(load_settings(home=home))
    ingest(opened(home), TABLES)
    assert asked(home, "select count(*) from raw.sales") == [(1,)]
    add(home, "two", second)
    ingest(opened(home), TABLES)
    assert asked(home, "select delivered_by from raw.sales order by 1") == [("files",), ("two",)]


def test_a_list_is_whole_after_a_kill_at_any_time_and_the_other_process_goes_on(
    tmp_path: Path, folder: Callable[..., Path]
) -> None:
    directory, home = folder("one", row("apes", APES, 1, 1, 1.5, 1)), tmp_path / "home"
    program = (
        "import sys; from orchestration.ingestion.listed import add_source\n"
        "from orchestration.settings import load_settings\n"
        "for i in range(int(sys.argv[2])):\n"
        " entry = {'name': f'{sys.argv[1]}{i}', 'kind': 'files', 'data_dir': sys.argv[4]}\n"
        " add_source(load_settings(home=sys.argv[3]), entry); print(entry['name'], flush=True)\n"
    )

    def started(name: str, most: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, name, str(most), str(home), str(directory)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    with started("a", 100_000) as killed, started("b", 12) as other:
        assert killed.stdout is not None
        done = [killed.stdout.readline().strip() for _ in range(3)]
        killed.kill()
        done += killed.stdout.read().split()
        assert other.wait(timeout=60) == 0
    names = [config.name for config in load_settings(home=home).source_configs]
    assert {f"b{i}" for i in range(12)} | set(done) <= set(names)
    assert len(names) - 12 - len(done) in (0, 1), "what was added last may not have been printed"
    add(home, "after", directory)
    assert remove_source(load_settings(home=home), "a0")["sales"] == 0


def test_a_list_that_is_there_before_the_home_is_kept(tmp_path: Path, folder: Callable[..., Path]) -> None:
    directory, home = folder("one", row("apes", APES, 1, 1, 1.5, 1)), tmp_path / "home"
    home.mkdir()
    (home / "sources.yaml").write_text(f"sources: [{{name: mine, kind: files, data_dir: {directory}}}]")
    add(home, "mine", directory)  # as after a kill between the list and the home's memory of it
    (home / "market.json").unlink()
    add(home, "two", directory)
    assert [config.name for config in load_settings(home=home).source_configs] == ["mine", "two"]


def test_a_folder_that_is_not_there_is_not_added(home: Path, tmp_path: Path) -> None:
    with pytest.raises(EmptyDirectoryError, match="found no directory"):
        add(home, "third", tmp_path / "nowhere")
    assert len(load_settings(home=home).source_configs) == 2
    with pytest.raises(EmptyDirectoryError):
        add(tmp_path / "new", "first", tmp_path / "nowhere")
    assert not (tmp_path / "new").exists()


def test_a_list_that_a_user_put_into_a_new_home_is_added_to(
    tmp_path: Path, folder: Callable[..., Path]
) -> None:
    directory, home = folder("one", row("apes", APES, 1, 1, 1.5, 1)), tmp_path / "home"
    home.mkdir()
    (home / "sources.yaml").write_text("sources: [{name: mine, kind: files, data_dir: ../one}]")
    entry = {"name": "two", "kind": "files", "data_dir": str(directory)}
    add_source(load_settings(home=home, sources=home / "sources.yaml"), entry)
    assert [config.name for config in load_settings(home=home).source_configs] == ["mine", "two"]
