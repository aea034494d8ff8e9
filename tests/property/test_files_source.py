"""Whatever files hold, the files source does not crash, and every row is in raw or in quarantine, none twice.

With ASSAY_MANY_FILES=1 it is tried on 500 files and some 10,000 rows, otherwise on a tenth of that.
"""

from __future__ import annotations

import gzip
import json
import os
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

EXAMPLES = 50 if os.environ.get("ASSAY_MANY_FILES") else 5
NOW = datetime(2026, 1, 1)  # noqa: DTZ001 - UTC without a zone
CELLS = [
    "", "NA", "<nil>", "\\N", "1", "12.0", "1,204", "0x4b4", "1.157e+77", "-3", "9" * 78, "0x" + "f" * 64,
    "1e30", "inf", "nan", "0.5 ETH ($1,500.00)", "1,5", "1.204,50", "5000000000", "1000000000000000000", "ETH", "USDC",
    "doge", "???",
    "2022-01-03", "2022-01-03T10:00:00Z", "03/04/2022", "Jan-03-2022 04:36:31 PM", "1641227791", "2 months ago",
    "2022-01-03 10:00 EST", "0001-01-01", "2099-01-01", "0x" + "a" * 40, "0x" + "a" * 64, "0x" + "0" * 40, "ethereum",
    "Base", "etherium", "sale", "transfer", "mint", "Cool Cats", " Cool Cats ", "Ünï", "c,ats", "true", "{}", "[1]",
    "Bad\0Cat",
    '"', "'", "\\", 'a "quote"', "a\nb", "44564.5", "202201031000", "0x61d2cd00", "Mon Jan 03 2022 10:00:00 GMT+0100",
    '[{"trait_type": "Hat", "value": "Cap"}]', "{'Hat': 'Cap'}", "[{", "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin",
    "\ud7ff\U0010ffff", "-", " ", "#1", "# no comment", "SOL/USD", "buyNow", "Gift",
]  # fmt: skip
NAMES = sorted(
    {n for t in TABLES.values() for names in t.aliases.values() for n in names}
    | {part for e in EXPORTS for s in e.signature for part in s.split("|")}
    | {"price_eth", "price_usd", "foo", "", "Price", "tokenId", "asset.id"}
    | {"attributes", "metadata", "trait_Hat", "attributes.Fur", "ETH", "ape_usd", "price_gwei", "is_primary"}
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
    "asks",
    "ETHUSDT",
    "metadata",
]


def _csv(rng: random.Random, rows: int) -> bytes:
    separator = rng.choice([",", ";", "\t", "|"])
    names = rng.sample(NAMES, rng.randint(1, 12))
    if rng.random() < 0.7:
        names += ["contract", "token_id", "timestamp", "price_eth"]
    lines = [separator.join(names)]
    if rng.random() < 0.2:
        lines = [
            rng.choice(["sep=" + separator, "# a comment", "A title", "", separator * (len(names) - 1)]),
            *lines,
        ]
    for _ in range(rows):
        cells = [rng.choice(CELLS) for _ in range(len(names) + rng.choice([0, 0, 0, 0, 1, -1]))]
        quoted = ['"{}"'.format(c.replace('"', '""')) if rng.random() < 0.9 else c for c in cells]
        lines.append(separator.join(quoted if rng.random() < 0.7 else cells))
    text = rng.choice(["\n", "\r\n", "\n", "\r"]).join(lines)
    body = text.encode(rng.choice(["utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-8", "cp1252"]), "replace")
    if rng.random() < 0.1 and body:
        at = rng.randrange(len(body))
        body = body[:at] + rng.randbytes(rng.randint(1, 4)) + body[at:]
    return gzip.compress(body) if rng.random() < 0.1 else body


def _json(rng: random.Random, rows: int) -> bytes:
    names = rng.sample(NAMES, rng.randint(1, 10))
    values = [
        *CELLS,
        None,
        1,
        2.5,
        10**40,
        {"a": 1},
        [1, 2],
        [{"trait_type": "Hat", "value": "Cap"}],
        {"Hat": "Cap"},
    ]
    items = [{n: rng.choice(values) for n in names} for _ in range(rows)]
    shape = rng.randrange(8)
    if shape == 0:
        return "\n".join(json.dumps(i) for i in items).encode()
    if shape == 1:
        return "\n".join(json.dumps(i, indent=2) for i in items).encode()
    documents = {
        2: {n: {str(i): item[n] for i, item in enumerate(items)} for n in names},
        3: {str(rng.random()): item for item in items},
        4: {"columns": names, "data": [list(item.values()) for item in items]},
        5: [{"sales": items, "next": None}] * 2,
        6: {"data": {"edges": [{"node": item} for item in items]}},
        7: {"data": {"sales": items[::2], "transfers": items[1::2]}, "asks": items[::3], "pairs": [[1, 2]]},
    }
    return json.dumps(documents.get(shape, {"sales": items} if rng.random() < 0.5 else items)).encode()


@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_file_crashes_the_door_and_no_row_is_lost_or_doubled(seed: int) -> None:
    """Ten files of up to forty rows in each example."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        for i in range(10):
            make, suffix = rng.choice([(_csv, "csv"), (_csv, "tsv"), (_json, "json"), (_json, "jsonl")])
            body = make(rng, rng.randint(0, 40))
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
