"""Each day once, exactly as the source delivers it, also after corrections and in any order."""

from datetime import datetime

import pytest

from orchestration.ingestion.ingest import ingest_window
from orchestration.resources import open_lake
from orchestration.settings import load_settings
from sources.files.source import FilesSource

pytestmark = pytest.mark.slow

HEADER = "collection,token_id,timestamp,price,currency,tx_hash\n"
ROWS = [
    "apes,1,2024-01-01T10:00:00,1.5,ETH,0x1111111111111111111111111111111111111111111111111111111111111111",
    "apes,2,2024-01-01T11:00:00,2.5,ETH,0x2222222222222222222222222222222222222222222222222222222222222222",
    "apes,1,2024-01-03T10:00:00,-4,ETH,0x3333333333333333333333333333333333333333333333333333333333333333",
    "apes,3,2024-02-05T10:00:00,3.5,ETH,0x4444444444444444444444444444444444444444444444444444444444444444",
]
START, END = datetime(2024, 1, 1), datetime(2024, 3, 1)  # noqa: DTZ001 - the lake keeps naive UTC


@pytest.fixture
def market(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()

    def source_of(rows):
        (folder / "sales.csv").write_text(HEADER + "\n".join(rows) + "\n")
        return FilesSource(folder)

    lake = open_lake(load_settings(home=tmp_path / "home", source="files", data_dir=folder))
    return lake, source_of


def _ingest(lake, source, start=START, end=END, **options):
    return ingest_window(lake, source, ["sales"], start, end, **options)["sales"]


def _prices(lake):
    with lake.read() as con:
        return con.execute("select price_native from raw.sales order by event_time").fetchall()


def test_rows_are_written_once_and_bad_ones_are_kept_with_their_reason(market):
    lake, source_of = market
    report = _ingest(lake, source_of(ROWS))
    assert (report.rows, report.quarantined) == (3, 1)
    again = _ingest(lake, source_of(ROWS))
    assert (again.days, again.rows) == (0, 0)
    assert _prices(lake) == [(1.5,), (2.5,), (3.5,)]
    with lake.read() as con:
        reason, payload = con.execute("select reason, payload from raw.quarantine").fetchone()
    assert "price" in reason
    assert "-4" in payload


def test_a_corrected_day_replaces_exactly_that_day(market):
    lake, source_of = market
    _ingest(lake, source_of(ROWS))
    corrected = [ROWS[0].replace("1.5", "1.75"), ROWS[1], ROWS[2].replace("-4", "4"), ROWS[3]]
    report = _ingest(lake, source_of(corrected))
    assert report.days == 2
    assert _prices(lake) == [(1.75,), (2.5,), (4.0,), (3.5,)]
    with lake.read() as con:
        assert con.execute("select count(*) from raw.quarantine").fetchone() == (0,)


def test_windows_in_any_order_give_the_same_table(market):
    lake, source_of = market
    middle = datetime(2024, 1, 20)  # noqa: DTZ001
    _ingest(lake, source_of(ROWS), middle, END)
    _ingest(lake, source_of(ROWS), START, middle)
    assert _prices(lake) == [(1.5,), (2.5,), (3.5,)]


def test_an_append_only_source_is_not_asked_again(market):
    lake, source_of = market
    _ingest(lake, source_of(ROWS))
    report = _ingest(lake, source_of(ROWS[:1]), append_only=True)
    assert report.days == 0
    assert len(_prices(lake)) == 3


def test_an_append_only_source_delivers_the_rest_of_a_day_that_as_of_had_cut(market):
    lake, source_of = market
    cut = datetime(2024, 1, 1, 10, 30)  # noqa: DTZ001
    _ingest(lake, source_of(ROWS), START, cut, append_only=True)
    assert _prices(lake) == [(1.5,)]
    assert _ingest(lake, source_of(ROWS), START, cut, append_only=True).days == 0
    _ingest(lake, source_of(ROWS), append_only=True)
    assert _prices(lake) == [(1.5,), (2.5,), (3.5,)]
    assert _ingest(lake, source_of(ROWS[:1]), append_only=True).days == 0


def test_an_append_only_source_fills_months_that_were_skipped(market):
    lake, source_of = market
    _ingest(lake, source_of(ROWS), datetime(2024, 2, 1), END, append_only=True)  # noqa: DTZ001
    _ingest(lake, source_of(ROWS), append_only=True)
    assert _prices(lake) == [(1.5,), (2.5,), (3.5,)]
