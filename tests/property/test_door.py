"""Whatever files hold, the door does not crash, and every row is in raw or in quarantine, none twice."""

from __future__ import annotations

import json
import random
import tempfile
from datetime import datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sources.files.aliases import TABLES
from sources.files.exports import EXPORTS
from sources.files.source import FilesSource
from sources.validation import validate

NOW = datetime(2026, 1, 1)  # noqa: DTZ001 - UTC without a zone
CELLS = [
    "", "NA", "<nil>", "\\N", "1", "12.0", "1,204", "0x4b4", "1.157e+77", "-3", "9" * 78, "0x" + "f" * 64,
    "1e30", "inf", "nan", "0.5 ETH ($1,500.00)", "1,5", "1.204,50", "5000000000", "1000000000000000000", "ETH", "USDC",
    "doge", "???",
    "2022-01-03", "2022-01-03T10:00:00Z", "03/04/2022", "Jan-03-2022 04:36:31 PM", "1641227791", "2 months ago",
    "2022-01-03 10:00 EST", "0001-01-01", "2099-01-01", "0x" + "a" * 40, "0x" + "a" * 64, "0x" + "0" * 40, "ethereum",
    "Base", "etherium", "sale", "transfer", "mint", "Cool Cats", " Cool Cats ", "Ünï", "c,ats", "true", "{}", "[1]",
]  # fmt: skip
NAMES = sorted(
    {n for t in TABLES.values() for names in t.aliases.values() for n in names}
    | {part for e in EXPORTS for s in e.signature for part in s.split("|")}
    | {"price_eth", "price_usd", "foo", "", "Price", "tokenId", "asset.id"}
)
STEMS = [
    "sales",
    "sales_2",
    "transfers",
    "traits",
    "rates",
    "listings",
    "collections",
    "export",
    "nft_trades",
    "eth_prices",
]


def _csv(rng: random.Random, rows: int) -> bytes:
    separator = rng.choice([",", ";", "\t", "|"])
    names = rng.sample(NAMES, rng.randint(1, 12))
    if rng.random() < 0.7:
        names += ["contract", "token_id", "timestamp", "price_eth"]
    lines = [separator.join(names)]
    for _ in range(rows):
        cells = [rng.choice(CELLS) for _ in range(len(names) + rng.choice([0, 0, 0, 0, 1, -1]))]
        lines.append(separator.join(f'"{c}"' if separator in c else c for c in cells))
    text = rng.choice(["\n", "\r\n"]).join(lines)
    return text.encode(rng.choice(["utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-8"]), "replace")


def _json(rng: random.Random, rows: int) -> bytes:
    names = rng.sample(NAMES, rng.randint(1, 10))
    items = [{n: rng.choice([*CELLS, None, 1, 2.5, {"a": 1}, [1, 2]]) for n in names} for _ in range(rows)]
    if rng.random() < 0.3:
        return "\n".join(json.dumps(i) for i in items).encode()
    return json.dumps({"sales": items} if rng.random() < 0.5 else items).encode()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_file_crashes_the_door_and_no_row_is_lost_or_doubled(seed: int) -> None:
    """Ten files of up to twenty rows in each example: 500 files and about 5,000 rows."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        for i in range(10):
            make, suffix = rng.choice([(_csv, "csv"), (_csv, "tsv"), (_json, "json"), (_json, "jsonl")])
            body = make(rng, rng.randint(0, 20))
            if rng.random() < 0.1:
                body = rng.randbytes(rng.randint(0, 300))
            (Path(name) / f"{rng.choice(STEMS)}_{i}.{suffix}").write_bytes(body)
        source = FilesSource(name, now=NOW)
        tables = source.everything()
        reports = source.inventory()
    for report in reports:
        if report.table is not None and not report.note:
            assert report.rows == report.emitted + report.rejected, report
    files = {r.file for r in reports}
    named = [
        n
        for table in tables.values()
        for part in (table.rows, table.rejected)
        for n in part.column("source_row").to_pylist()
        if n.rpartition(":")[0] in files
    ]
    assert len(named) == len(set(named))
    assert len(named) == sum(r.rows or 0 for r in reports if r.table is not None and not r.note)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_second_look_at_what_was_kept_keeps_it(seed: int) -> None:
    """Canonical values are their own canonical values."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "sales.csv").write_bytes(_csv(rng, 200))
        sales = FilesSource(name, now=NOW).everything()["sales"].rows
    again = validate("sales", sales, now=NOW, undated_known_at=NOW, any_currency=True)
    assert again.rejected.num_rows == 0
    for column in (
        "chain",
        "token_id",
        "contract",
        "tx_hash",
        "buyer",
        "seller",
        "event_time",
        "price_native",
    ):
        assert (
            again.rows.column(column).to_pylist()
            == sales.column(column).cast(again.rows.column(column).type).to_pylist()
        )
