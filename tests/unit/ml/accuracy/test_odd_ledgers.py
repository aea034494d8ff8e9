"""Ledgers that no pipeline should write, and those that a young one does."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml.accuracy import AccuracyConfig, LedgerError, accuracy_of
from ml.accuracy.pages import compose, write_report
from ml.accuracy.provenance import Provenance
from ml.ledger.ledger import LEDGER_SCHEMA

Replace = Callable[[pa.Table, str, Any], pa.Table]
QUICK = AccuracyConfig(draws=20, noise_draws=2)
NOWHERE = Provenance("", "none", "none", "none")
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def _without_estimates(ledger: pa.Table) -> pa.Table:
    for name in ("estimate_eth", "lower_eth", "upper_eth", "lower_90_eth", "upper_90_eth", "expected_eth"):
        place = ledger.schema.get_field_index(name)
        ledger = ledger.set_column(place, name, pa.nulls(ledger.num_rows, pa.float64()))
    return ledger


@pytest.mark.parametrize("case", ["empty", "one sale", "no estimate", "one collection", "nothing clean"])
def test_a_ledger_with_few_figures_still_has_a_report(
    case: str, ledger: pa.Table, replaced: Replace, tmp_path: Path
) -> None:
    odd = {
        "empty": LEDGER_SCHEMA.empty_table(),
        "one sale": ledger.slice(250, 1),
        "no estimate": _without_estimates(ledger),
        "one collection": ledger.slice(0, 300),
        "nothing clean": replaced(ledger, "is_arms_length", [False] * ledger.num_rows),
    }[case]
    document = accuracy_of(odd, QUICK)
    json.dumps(document, allow_nan=False)
    pooled = document["window"]["pooled"]
    if case == "no estimate":
        assert pooled["hit_rate"] == 0.0
        assert pooled["series"]["model"]["mdape"] is None
    if case == "one collection":
        assert pooled["series"]["model"]["mdape_ci"] is not None, "blocks of one day are drawn instead"
    assert all(path.stat().st_size for path in write_report(compose(document, NOWHERE), tmp_path))


def test_rows_without_a_price_are_counted_and_left_out(ledger: pa.Table, replaced: Replace) -> None:
    price = ledger["price_eth"].to_numpy().copy()
    price[:3] = [np.nan, -1.0, np.inf]
    data = accuracy_of(replaced(ledger, "price_eth", price), QUICK)["data"]
    assert (data["unpriced"], data["clean"]) == (3, ledger.num_rows - 3)


def test_a_missing_column_is_named_with_what_was_expected_and_found(ledger: pa.Table) -> None:
    with pytest.raises(
        LedgerError, match=r"none named grade, price_eth among collection, chain.*assay backtest"
    ):
        accuracy_of(ledger.drop(["price_eth", "grade"]), QUICK)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("tier", "guess", "column tier.*expected own_model.*found guess"),
        ("estimate_eth", -1.0, "column estimate_eth.*positive ETH or null.*3600 rows"),
        ("collection", None, "column collection.*3600 nulls"),
    ],
)
def test_a_value_no_ledger_can_hold_is_an_error(
    column: str, value: Any, message: str, ledger: pa.Table, replaced: Replace
) -> None:
    with pytest.raises(LedgerError, match=message):
        accuracy_of(replaced(ledger, column, [value] * ledger.num_rows), QUICK)


def test_a_column_of_another_kind_is_an_error(ledger: pa.Table) -> None:
    place = ledger.schema.get_field_index("price_eth")
    text = ledger.set_column(place, "price_eth", pa.array(["dear"] * ledger.num_rows))
    with pytest.raises(LedgerError, match=r"column price_eth.*expected numbers, found string"):
        accuracy_of(text, QUICK)


def test_a_file_that_is_no_ledger_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.parquet").write_text("hello")
    for name in ("notes.parquet", "absent.parquet"):
        with pytest.raises(LedgerError, match=f"Parquet ledger at {re.escape(name)}"):
            accuracy_of(tmp_path / name, QUICK)
