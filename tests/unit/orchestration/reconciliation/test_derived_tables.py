"""A finished home agrees with itself; marts, estimates and the store that were harmed are found, and marked."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from orchestration.reconciliation.derived_tables import DERIVED_TABLES, compare_derived
from orchestration.reconciliation.findings import Comparison, described
from orchestration.reconciliation.repairs import repair_derived
from orchestration.resources import Assay
from orchestration.settings import load_settings
from serving.store import files
from tests.homes import finished_market

pytestmark = pytest.mark.slow

HARMS = (
    "update marts.fct_sales set price_eth = price_eth * 2 where sale_id = (select min(sale_id) from marts.fct_sales)",
    "delete from intermediate.int_sales_classified where sale_id ="
    " (select max(sale_id) from intermediate.int_sales_classified where exclusion_reason is not null)",
    "update predictions.token_estimates set estimate_eth = estimate_eth * 3 where collection || token_id ="
    " (select min(collection || token_id) from predictions.token_estimates where estimate_eth is not null)",
    # One row of several: the market has a row per source.
    "update marts.sales_reconciliation set difference = 2 where delivered_by || source ="
    " (select min(delivered_by || source) from marts.sales_reconciliation)",
    "update marts.moves_reconciliation set units_not_matched = 3 where chain ="
    " (select min(chain) from marts.moves_reconciliation)",
)


def compared(assay: Assay) -> dict[str, Comparison]:
    with assay.lake.read(assay.lake.snapshot_id()) as con:
        return {one.table: one for one in compare_derived(con, assay, lambda _: True)}


def harm_store(home: Path) -> None:
    """Change a published estimate in place, and let the pointer agree with the file as a faulty publisher would."""
    pointer = files.read_pointer(home / "serving")
    path = home / "serving" / pointer.file
    with sqlite3.connect(path) as con:
        con.execute(_LAST_TOKEN)
    con.close()
    changed = {**pointer.__dict__, "bytes": path.stat().st_size, "digest": files.sample_digest(path)}
    files.write_pointer(home / "serving", files.Pointer(**changed))


_LAST_TOKEN = """
    update tokens set rank_eth = 12345.0 where (collection, token) =
        (select collection, token from tokens order by collection desc, token desc limit 1)
"""


def test_what_was_harmed_is_found_and_marked_for_the_next_run(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(finished_market(tmp_path_factory)[0], home)
    assay = Assay(load_settings(home=home))
    well = compared(assay)
    assert [
        (one.table, one.problem, one.skipped, one.listed) for one in well.values() if not one.is_clean
    ] == []
    assert all(one.rows > 0 and one.skipped is None for one in well.values()), well

    for statement in HARMS:
        with assay.lake.write("harm") as con:
            con.execute(statement)
    harm_store(home)
    found = compared(assay)
    assert {name: (one.missing, one.extra, one.changed) for name, one in found.items()} == {
        "intermediate.int_sales_classified": (1, 0, 0),
        "marts.fct_sales": (0, 0, 1),
        "marts.sales_reconciliation": (0, 0, 0),
        "marts.moves_reconciliation": (0, 0, 0),
        "predictions.token_estimates": (0, 0, 1),
        "serving.tokens": (0, 0, 1),
    }
    assert "2 rows are in no place" in str(found["marts.sales_reconciliation"].problem)
    assert "3 units are in no place" in str(found["marts.moves_reconciliation"].problem)
    assert "price_eth: expected" in described(found["marts.fct_sales"].listed[0])
    assert "found 12345.0); in the published version" in described(found["serving.tokens"].listed[0])

    assert [repair_derived(assay, found[name]) is not None for name in DERIVED_TABLES] == [True] * 6
    after = compared(assay)
    assert after["marts.fct_sales"].skipped == "the marts are not built, or wait for being built anew"
    assert after["marts.sales_reconciliation"].skipped == after["marts.fct_sales"].skipped
    assert after["serving.tokens"].skipped == "nothing is published yet"
    assert after["predictions.token_estimates"].is_clean, "the harmed collection waits for being valued"
    with assay.lake.read() as con:
        (logged,) = con.execute("select count(*) from ops.decision_log where action = 'repaired'").fetchall()
    assert logged == (6,)
