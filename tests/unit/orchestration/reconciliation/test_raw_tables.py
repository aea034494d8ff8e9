"""Raw rows that were harmed in the lake are found row for row, with the column and the snapshot, and repaired."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from orchestration.errors import HomeError
from orchestration.home import prepare_home
from orchestration.ingestion.assets import ingest
from orchestration.reconciliation.findings import Comparison, Scope, described
from orchestration.reconciliation.reconcile import reconcile
from orchestration.resources import Assay, open_sources
from orchestration.settings import load_settings
from tests.command import assay as command

pytestmark = pytest.mark.slow

HEADER = "collection,token_id,timestamp,price,currency,tx_hash\n"
ROWS = [f"apes,{n},2024-01-{1 + n // 3:02}T{n % 24:02}:00:00,{n + 1}.5,ETH,0x{n:064x}" for n in range(1, 31)]
BAD = f"apes,99,2024-01-03T10:00:00,-4,ETH,0x{99:064x}"
RAW = Scope(table="sales")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home of 30 sales on 11 days and a refused row; to be read, or copied."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "data").mkdir()
    (folder / "data" / "sales.csv").write_text(HEADER + "\n".join([*ROWS, BAD]) + "\n")
    assay = opened(folder / "home", folder / "data")
    prepare_home(assay.settings)
    ingest(assay, ["sales", "collections", "token_traits", "transfers"])
    return folder


def opened(home: Path, data: Path) -> Assay:
    open_sources.cache_clear()
    return Assay(load_settings(home=home, source="files", data_dir=data))


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Assay:
    shutil.copytree(made / "home", tmp_path / "home")
    return opened(tmp_path / "home", made / "data")


def harm(assay: Assay, *statements: str) -> int:
    for statement in statements:
        with assay.lake.write("harm") as con:
            con.execute(statement)
    return assay.lake.snapshot_id()


def sales(found: list[Comparison]) -> Comparison:
    return next(one for one in found if one.table == "raw.sales")


def test_a_home_that_was_not_harmed_differs_nowhere(home: Assay) -> None:
    found = reconcile(home, Scope())
    assert [(one.table, one.problem, one.listed) for one in found if not one.is_clean] == []
    assert sales(found).rows == 30
    assert len(sales(found).days) == 11
    refused = [one for one in found if one.table == "raw.quarantine"]
    assert [one.rows for one in refused] == [1]


HARMS = [
    # statement, differences, what is message about the row
    ("delete from raw.sales where token_id = '4'", "missing", "missing: files"),
    ("insert into raw.sales from raw.sales where token_id = '7'", "extra", "extra: files"),
    (
        "update raw.sales set price_native = 1e6 where token_id = '10'",
        "changed",
        "price_native: expected 11.5, found 1",
    ),
    (
        "update raw.sales set chain = 'y' where token_id = '13'",
        "changed",
        "chain: expected ethereum, found y",
    ),
    (
        "update raw.sales set known_at = known_at + interval 1 day where token_id = '16'",
        "changed",
        "known_at: expected",
    ),
]


def test_what_was_harmed_is_named_with_its_snapshot_and_repaired(home: Assay) -> None:
    snapshots = [harm(home, statement) for statement, _, _ in HARMS]
    harm(home, "update raw.quarantine set payload = '{}'")
    one, refused = (one for one in reconcile(home, Scope(source="files")) if not one.is_clean)
    assert (one.missing, one.extra, one.changed, refused.changed) == (1, 1, 3, 1)
    lines = {listed.row.key[2]: described(listed) for listed in one.listed}
    assert len(lines) == len(HARMS)
    for snapshot, (_, kind, message) in zip(snapshots, HARMS, strict=True):
        (line,) = [line for line in lines.values() if message in line]
        assert line.startswith(kind)
        assert f"snapshot {snapshot} of 20" in line
    repaired = [one for one in reconcile(home, Scope(source="files"), repair=True) if not one.is_clean]
    assert [one.repair for one in repaired] == ["6 days read again"] * 2
    assert all(one.is_clean for one in reconcile(home, Scope(source="files")))
    with home.lake.read() as con:
        logged = con.execute("select collection, action, rule, reason from ops.decision_log").fetchall()
        marked = con.execute("select count(*) from ops.ingest_log where fingerprint like 'to be%'").fetchone()
    assert [row[:3] for row in logged] == [("(reconciliation) raw.sales", "repaired", "rows_differ")]
    assert "2024-01-02" in logged[0][3]
    assert marked == (0,)


def test_rows_of_a_day_that_was_never_ingested_are_extra_and_go(home: Assay) -> None:
    harm(
        home,
        "insert into raw.sales select * replace (timestamp '2024-01-02 12:00:00' as known_at, 'other' as source_row)"
        " from raw.sales where token_id = '7'",
        "delete from ops.ingest_log where table_name = 'sales' and day = '2024-01-02'",
    )
    found = sales(reconcile(home, RAW, repair=True))
    assert found.extra == 4, "the copy and three sales of a day of which the log says nothing"
    again = sales(reconcile(home, RAW))
    assert (again.is_clean, again.rows) == (True, 30)


def test_a_repair_that_was_killed_after_the_mark_is_finished_by_the_next_ingestion(
    home: Assay, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    harm(home, "delete from raw.sales where token_id in ('7', '20')")
    with monkeypatch.context() as patch:
        patch.setattr("orchestration.reconciliation.repairs.ingest_window", killed)
        with pytest.raises(KilledError):
            reconcile(home, RAW, repair=True)
    assert sales(reconcile(home, RAW)).missing == 2
    ingest(home, ["sales"])
    assert sales(reconcile(home, RAW)).is_clean


def test_only_the_days_and_tables_of_the_scope_are_compared(home: Assay) -> None:
    harm(home, "delete from raw.sales where token_id in ('7', '20')")
    found = reconcile(home, Scope(table="raw.sales", first=date(2024, 1, 3), last=date(2024, 1, 3)))
    assert [(one.table, one.missing, one.rows) for one in found] == [("raw.sales", 1, 2)]
    with pytest.raises(HomeError, match="expected a table that is compared"):
        reconcile(home, Scope(table="sale"))
    with pytest.raises(HomeError, match=r"expected a source of this home \(files\)"):
        reconcile(home, Scope(source="other"))


def test_a_source_row_of_which_a_part_was_let_in_later_is_neither_missing_nor_extra(home: Assay) -> None:
    # Of one row of the file two tokens: the first was good at once, the other was refused and replayed.
    harm(
        home,
        "update raw.quarantine set status = 'replayed', source_row = "
        "(select source_row from raw.sales where token_id = '7')",
        "insert into raw.sales select * replace ('99' as token_id, 5 as sub_index) from raw.sales where token_id = '7'",
    )
    assert sales(reconcile(home, RAW)).is_clean
    harm(home, "delete from raw.sales where token_id = '7'")
    found = sales(reconcile(home, RAW))
    assert (found.missing, found.extra, found.changed) == (1, 0, 0)


def test_a_source_is_compared_once_again_however_many_of_its_tables_were_repaired(home: Assay) -> None:
    harm(home, "delete from raw.sales where token_id = '7'", "delete from raw.collections")
    lines: list[str] = []
    found = reconcile(home, Scope(source="files"), repair=True, say=lines.append)
    assert [one.repair for one in found if one.differing_rows] == ["1 days read again"] * 2
    assert lines == [
        "comparing with source files",
        "reading days of raw.collections again from files",
        "reading days of raw.sales again from files",
        "comparing with source files",
    ]


@pytest.mark.parametrize("kept", [ROWS[:20], ROWS[11:]], ids=["its end", "its beginning"])
def test_what_a_file_has_lost_stays_in_the_lake(home: Assay, made: Path, kept: list[str]) -> None:
    file = made / "data" / "sales.csv"
    whole = file.read_text()
    file.write_text(HEADER + "\n".join(kept) + "\n")
    try:
        found = sales(reconcile(opened(home.settings.home_path, made / "data"), RAW, repair=True))
    finally:
        file.write_text(whole)
    # Rows are known by their line: without its beginning, each row of a file is another one.
    assert found.extra >= len(ROWS) - len(kept)
    assert "the source does not reach them" in (found.repair or "")
    with home.lake.read() as con:
        assert con.execute("select count(*) from raw.sales").fetchone() == (len(ROWS),)


def test_a_source_that_was_exchanged_is_refused_and_nothing_is_repaired(home: Assay, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sales.csv").write_text(HEADER + ROWS[0] + "\n")
    with pytest.raises(HomeError, match="Give the new data a name"):
        reconcile(opened(home.settings.home_path, tmp_path / "other"), RAW, repair=True)


def test_the_command_prints_one_line_a_row_and_ends_with_1(home: Assay) -> None:
    folder = str(home.settings.home_path)
    harm(home, "update raw.sales set buyer = chr(27) || '[2Jx' where token_id = '7'")
    done = command("reconcile", "--home", folder, "--table", "sales")
    assert done.returncode == 1, done.stderr
    assert "FOUND    raw.sales" in done.stdout
    assert "buyer: expected null, found" in done.stdout
    assert chr(27) not in done.stdout
    repaired = command("reconcile", "--home", folder, "--table", "sales", "--repair")
    assert "→ 1 days read again" in repaired.stdout
    assert command("reconcile", "--home", folder, "--table", "sales", "--json").returncode == 0


def test_days_that_are_none_are_refused(made: Path) -> None:
    for days in ("0", "yesterday", "2024-01-05..2024-01-01", "..", ""):
        done = command("reconcile", "--home", str(made / "home"), "--days", days)
        assert done.returncode == 2
        assert "expected a day" in done.stderr
