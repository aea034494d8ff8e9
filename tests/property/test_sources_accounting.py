"""Whatever a CSV holds and however its history is cut into windows, every row is reported exactly once."""

from __future__ import annotations

import itertools
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sources.files.source import FilesSource
from sources.simulator.source import open_simulator

NOW = datetime(2026, 1, 1)  # noqa: DTZ001 - UTC without a zone
FIELDS = st.sampled_from
ROWS = st.lists(
    st.tuples(
        FIELDS(["cats", "dogs", "", "c,ats", 'a"b', "Ünï"]),
        FIELDS(["1", "2", "", "0x1", "9" * 40]),
        FIELDS(["2025-03-01", "2025-03-01T10:00:00Z", "", "soon", "2099-01-01", "1740000000", "0001-01-01"]),
        FIELDS(["1", "0", "", "-1", "1e30", "inf", "nan", "1.5 ETH"]),
        FIELDS(["ETH", "WETH?", "usdc", "", "???"]),
        FIELDS(["0x" + "a" * 64, "0xabc", "", "tx-1"]),
    ),
    max_size=25,
)


def quoted(field: str) -> str:
    return '"' + field.replace('"', '""') + '"' if set(field) & set(',"') else field


@settings(max_examples=25, deadline=None)
@given(
    rows=ROWS,
    broken=st.lists(st.sampled_from([b"a,b", b"\xff\xfe,1,2025-01-01,1,ETH,", b"a,1,2,3,4,5,6"]), max_size=3),
)
def test_rows_of_a_csv_are_emitted_or_rejected(rows: list[tuple[str, ...]], broken: list[bytes]) -> None:
    lines = [b"collection,token_id,timestamp,price,currency,tx_hash"]
    lines += [",".join(quoted(f) for f in row).encode() for row in rows]
    lines[1:1] = broken
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "sales.csv").write_bytes(b"\n".join(lines) + b"\n")
        source = FilesSource(name, now=NOW)
        sales = source.everything()["sales"]
        (report,) = source.inventory()
    emitted, rejected = sales.rows.num_rows, sales.rejected.num_rows
    assert (emitted, rejected) == (report.emitted, report.rejected)
    assert emitted + rejected == report.rows == len(rows) + len(broken)
    named = [n for part in (sales.rows, sales.rejected) for n in part.column("source_row").to_pylist()]
    assert sorted(named) == sorted(f"sales.csv:{i}" for i in range(2, len(lines) + 1))


MARKET = open_simulator(
    collections=4, days=12, mean_tokens=200.0, mean_sales=3000.0, faults=["outage@5:2", "late_data@3"]
)


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 12 * 24 * 60), max_size=6))
def test_any_cut_of_the_simulated_history_gives_the_same_rows(cuts: list[int]) -> None:
    first, last = MARKET.first_known(), MARKET.watermark()
    edges = [first, *sorted(first + timedelta(minutes=m) for m in cuts), last]
    for table in ("sales", "transfers", "listings", "exchange_rates"):
        whole = [n for b in MARKET.read(table, first, last) for n in b.rows.column("source_row").to_pylist()]
        parts = [
            n
            for start, end in itertools.pairwise(edges)
            for b in MARKET.read(table, start, end)
            for n in b.rows.column("source_row").to_pylist()
        ]
        assert parts == whole
