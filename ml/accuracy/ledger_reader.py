"""From a ledger of frozen estimates to samples.

Here: checking the ledger, choosing the headline sample, turning columns into a `Sample`. Not here: how a ledger
comes about (`ml.ledger.ledger`).

Concept: rows are put in (known_at, collection, sale_id) order first, so that the same ledger gives the same
report whatever order its rows came in. A collection's place in its history is counted from its newest clean
sale, whose `sales_seen` counts those before it: a ledger of the last year knows where the last 30 % begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml.accuracy.config import (
    LEDGER_SERIES,
    NOMINAL,
    SALES_SEEN_EDGES,
    STALENESS_EDGES_DAYS,
    AccuracyConfig,
)
from ml.accuracy.sample import Bools, Float, Int, Labels, Sample
from ml.compute.matrix import column
from ml.intervals.grades import GRADES
from ml.metrics.formulas import PREMIUM_TIERS
from ml.states import Tier

_NUMBERS = (
    "price_eth",
    *LEDGER_SERIES.values(),
    *(name for pair in NOMINAL.values() for name in pair),
    "expected_eth",
    "days_since_sale",
    "sales_seen",
)
_TEXTS = ("collection", "chain", "sale_id", "tier", "grade", "premium_tier", "seller")
_OTHERS = ("event_time", "known_at", "is_arms_length", "is_wash", "listed")
NEEDED = (*_TEXTS, *_OTHERS, *_NUMBERS)
"""The columns of a ledger that the report reads."""

SALES_SEEN_NAMES = ("0–4", "5–19", "20–49", "50–199", "200–999", "1000+")
STALENESS_NAMES = ("<1 h", "1–6 h", "6–24 h", "1–3 d", "3–14 d", ">14 d")

_DAY_US = 86_400_000_000


class LedgerError(ValueError):
    """A ledger that a report cannot be made from."""


@dataclass(frozen=True)
class LedgerSample:
    """A ledger as arrays, with what decides which part of it a figure is about.

    Attributes:
        sample: All rows with a price.
        clean: Arm's-length sales.
        wash: Sales that a wash rule marked.
        sales_seen: Arm's-length sales of the collection visible before the sale.
        headline: Clean sales in the last share of a collection with enough of them.
        rows: Rows of the ledger.
        unpriced: Rows without a positive finite price, which are in no figure.
        first: Day of the first sale, ISO; None without sales.
        last: Day of the last sale.
    """

    sample: Sample
    clean: Bools
    wash: Bools
    sales_seen: Float
    headline: Bools
    rows: int
    unpriced: int
    first: str | None
    last: str | None


def read_ledger(ledger: pa.Table | Path, config: AccuracyConfig) -> LedgerSample:
    """A ledger as samples.

    Args:
        ledger: One row per sale, or the Parquet file that holds it.
        config: Settings.

    Raises:
        LedgerError: When the file cannot be read, a column is missing or of another kind, or an estimate is not
            positive.
    """
    table = _load(ledger) if isinstance(ledger, Path) else ledger
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise LedgerError(
            f"expected a ledger with the columns {', '.join(NEEDED)}; found none named {', '.join(missing)} among "
            f"{', '.join(table.column_names) or 'no columns'}; write it with `assay backtest`"
        )
    rows = table.num_rows
    price = _number(table, "price_eth")
    table = table.select(NEEDED).filter(pa.array(np.isfinite(price) & (price > 0)))
    table = table.sort_by([("known_at", "ascending"), ("collection", "ascending"), ("sale_id", "ascending")])
    collection = _text(table, "collection")
    nameless = int((collection.codes < 0).sum())
    if nameless:
        raise LedgerError(
            f"column collection of the ledger: expected a name in every row, found {nameless} nulls"
        )
    event_us = _times(table, "event_time")
    clean, seen = _flag(table, "is_arms_length"), _number(table, "sales_seen")
    day = event_us // _DAY_US
    seller = _text(table, "seller").codes
    sample = Sample(
        collection=collection,
        day=day,
        price_log=np.log(_number(table, "price_eth")),
        logs={name: _log(table, source) for name, source in LEDGER_SERIES.items()},
        bounds={level: (_log(table, low), _log(table, high)) for level, (low, high) in NOMINAL.items()},
        labels=_labels(table, event_us),
        expected_log=_log(table, "expected_eth"),
        seller=seller,
    )
    headline = clean & last_share_of_each(collection.codes, clean, seen, config)
    return LedgerSample(
        sample,
        clean,
        _flag(table, "is_wash"),
        seen,
        headline,
        rows,
        rows - len(sample),
        str(np.datetime64(int(day.min()), "D")) if len(day) else None,
        str(np.datetime64(int(day.max()), "D")) if len(day) else None,
    )


def last_share_of_each(collection: Int, clean: Bools, sales_seen: Float, config: AccuracyConfig) -> Bools:
    """Which clean sales are in the last share of a collection with enough of them.

    Args:
        collection: Dense codes, shape (n,), rows in known order.
        clean: Arm's-length sales.
        sales_seen: Clean sales visible before each; NaN counts as unknown.
        config: Settings.
    """
    chosen = np.zeros(len(collection), bool)
    if not clean.any():
        return chosen
    codes = collection[clean]
    groups = int(codes.max()) + 1
    present = np.bincount(codes, minlength=groups)
    ever = np.zeros(groups)
    np.maximum.at(ever, codes, np.nan_to_num(sales_seen[clean], nan=-1.0) + 1.0)
    ever = np.maximum(ever, present)
    order = np.argsort(codes, kind="stable")
    place = np.empty(len(codes))
    place[order] = np.arange(len(codes)) - np.repeat(np.cumsum(present) - present, present)
    place += (ever - present)[codes]
    enough = ever[codes] >= config.min_sales
    chosen[clean] = enough & (place >= np.floor((1.0 - config.last_share) * ever[codes]))
    return chosen


def _labels(table: pa.Table, event_us: Int) -> dict[str, Labels]:
    listed = [
        "listed" if flag else "not listed" if flag is False else None for flag in table["listed"].to_pylist()
    ]
    months = (
        np.datetime_as_string(event_us.astype("datetime64[us]"), unit="M").tolist() if len(event_us) else []
    )
    seen, stale = _number(table, "sales_seen"), _number(table, "days_since_sale")
    return {
        "chain": _text(table, "chain"),
        "premium_tier": _known(table, "premium_tier", PREMIUM_TIERS),
        "sales_seen": Labels.by_edges(seen, SALES_SEEN_EDGES, SALES_SEEN_NAMES),
        "days_since_sale": Labels.by_edges(stale, STALENESS_EDGES_DAYS, STALENESS_NAMES),
        "listed": Labels.of(listed, ("listed", "not listed")),
        "tier": _known(table, "tier", tuple(Tier)),
        "grade": _known(table, "grade", GRADES),
        "month": Labels.of(months),
    }


def _known(table: pa.Table, name: str, allowed: tuple[str, ...]) -> Labels:
    found = _text(table, name)
    strange = [value for value in found.names if value not in allowed]
    if strange:
        raise LedgerError(
            f"column {name} of the ledger: expected {', '.join(allowed)}; found {', '.join(strange)}"
        )
    place = np.array([*(allowed.index(value) for value in found.names), -1], np.int64)
    return Labels(place[found.codes], allowed)


def _text(table: pa.Table, name: str) -> Labels:
    """Labels of a text column by sorted name; null is no group."""
    kind = table.schema.field(name).type
    if pa.types.is_null(kind):
        return Labels(np.full(table.num_rows, -1, np.int64), ())
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)):
        raise LedgerError(f"column {name} of the ledger: expected text, found {kind}")
    encoded = table[name].cast(pa.string()).combine_chunks().dictionary_encode()
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names, kind="stable")
    place = np.full(len(names) + 1, -1, np.int64)
    place[order] = np.arange(len(names))
    codes = np.asarray(encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False), np.int64)
    return Labels(place[codes], tuple(str(name) for name in names[order]))


def _load(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise LedgerError(
            f"expected a Parquet ledger at {path.name}; it could not be read ({error}); write it with `assay backtest`"
        ) from error


def _number(table: pa.Table, name: str) -> Float:
    try:
        return column(table, name)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise LedgerError(
            f"column {name} of the ledger: expected numbers, found {table.schema.field(name).type}"
        ) from error


def _log(table: pa.Table, name: str) -> Float:
    values = _number(table, name)
    wrong = int(((values <= 0) | np.isinf(values)).sum())
    if wrong:
        raise LedgerError(
            f"column {name} of the ledger: expected positive ETH or null, found {wrong} rows that are neither"
        )
    return np.log(values)


def _flag(table: pa.Table, name: str) -> Bools:
    if not (
        pa.types.is_boolean(table.schema.field(name).type) or pa.types.is_null(table.schema.field(name).type)
    ):
        raise LedgerError(
            f"column {name} of the ledger: expected booleans, found {table.schema.field(name).type}"
        )
    flags: npt.NDArray[np.bool_] = np.array(table[name].fill_null(False).to_pylist(), dtype=bool)
    return flags


def _times(table: pa.Table, name: str) -> Int:
    if not pa.types.is_timestamp(table.schema.field(name).type):
        raise LedgerError(
            f"column {name} of the ledger: expected timestamps, found {table.schema.field(name).type}"
        )
    times = table[name].cast(pa.timestamp("us")).cast(pa.int64())
    if times.null_count:
        raise LedgerError(
            f"column {name} of the ledger: expected a time in every row, found {times.null_count} nulls"
        )
    return np.asarray(times.to_numpy(), np.int64) if len(times) else np.empty(0, np.int64)
