"""Days in any order, rows late and twice: the marts are those of a full refresh, row for row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from lake.connection import Lake, current_snapshot
from orchestration.marts.dbt_runner import environment
from tests.integration.marts_market import (
    START,
    Marts,
    Row,
    by_arrival,
    configure,
    merged,
    new_lake,
    troubled_market,
    write_rows,
)
from tests.integration.moves_market import add_moves

MODELS = (
    "intermediate.int_sales_classified",
    "intermediate.int_repeated_traits",
    "intermediate.int_trait_codes",
    "intermediate.int_transfers",
    "intermediate.int_sale_amounts",
    "intermediate.int_transaction_moves",
    "intermediate.int_moves",
    "intermediate.int_move_gas",
    "marts.fct_sales",
    "marts.fct_collection_state",
    "marts.fct_collection_daily",
    "marts.fct_listings",
    "marts.fct_holdings",
    "marts.dim_collections",
    "marts.dim_trait_values",
    "marts.dim_tokens",
    "marts.sales_reconciliation",
    "marts.fct_acquisitions",
    "marts.fct_disposals",
    "marts.fct_lots",
    "marts.fct_realized_gains",
    "marts.fct_wallet_positions",
    "marts.moves_reconciliation",
    "marts.sales_reported_twice",
)


def differing_rows(con: duckdb.DuckDBPyConnection, table: str, before: int) -> str | None:
    """The first rows of `table` that differ between a snapshot and now, with duplicates counted."""
    then, now = f"select * from {table} at (version => {before})", f"select * from {table}"
    lost = con.execute(f"{then} except all {now}").fetchmany(2)
    new = con.execute(f"{now} except all {then}").fetchmany(2)
    return f"{table}: incremental only {lost}; full refresh only {new}" if lost or new else None


def differences(lake: Lake, before: int) -> str:
    """What differs in any model between a snapshot and now; empty if nothing does."""
    with lake.read() as con:
        found = [differing_rows(con, table, before) for table in MODELS]
    return "\n".join(problem for problem in found if problem)


def one_source(_: Row) -> str:
    return "one"


def by_source_of_row(row: Row) -> str:
    return str(row["source"])


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "delivered_by"), [(7, one_source), (8, by_source_of_row)])
def test_days_in_random_order_equal_a_full_refresh(
    tmp_path: Path, seed: int, delivered_by: Callable[[Row], str]
) -> None:
    """One source; and two, of which the one that reports later is preferred, with all days built in parts.

    What follows the comparison does not depend on the sources.
    """
    lake = new_lake(tmp_path / "home")
    configure(lake, **({"one": 1} if delivered_by is one_source else {"one": 2, "two": 1}))
    marts = Marts(lake, tmp_path)
    in_parts = {"ASSAY_LAKE_MEMORY_BYTES": "100000"}
    if delivered_by is by_source_of_row:
        marts.variables = in_parts
    rng = np.random.default_rng(seed)
    market = troubled_market(seed)
    add_moves(rng, market)
    late = stragglers(market)
    arrivals = by_arrival(market)
    order = rng.permutation(sorted(arrivals))
    for days in np.array_split(order, 2 if delivered_by is one_source else 3):
        write_rows(lake, merged(arrivals[day] for day in days), delivered_by)
        marts.dbt("run")
    for rows in late:
        write_rows(lake, rows, delivered_by)
        marts.dbt("run")
    assert only_tails_were_built(lake)
    assert executed(tmp_path, "fct_sales") == "select 'unchanged'"
    reorganise(lake)
    marts.dbt("run")
    before = lake.snapshot_id()
    marts.variables = {}
    marts.dbt("run", "--full-refresh")
    assert "insert into" in executed(tmp_path, "fct_sales")
    assert not differences(lake, before)
    with lake.read() as con:
        assert current_snapshot(con) > before
        every_rule_had_work_to_do(con)
        assert out_of_order(con, "marts", "fct_sales") == 0
    # What memory does not hold at once is built in parts.
    marts.variables = in_parts
    marts.dbt("run", "--full-refresh")
    assert "set variable part = 3;" in executed(tmp_path, "fct_lots")
    assert not differences(lake, before)
    if delivered_by is by_source_of_row:
        return
    marts.dbt("run")
    assert executed(tmp_path, "fct_sales") == "select 'unchanged'", "nothing is new after a full refresh"
    with environment({"ASSAY_DBT_SHARED": "other macros"}):
        marts.dbt("run", "--select", "int_moves")
        with lake.read() as con:
            # A run that ends before all models are of the new text: the next one builds the others, too.
            assert con.execute("select count(*) from ops.mart_watermark").fetchone() == (0,)
        marts.dbt("run")
        assert "insert into" in executed(tmp_path, "fct_sales")
        with lake.read() as con:
            # Rows that nothing has touched since would otherwise keep the rule of the old text.
            assert con.execute("select is_full from ops.mart_run").fetchone() == (True,)
        assert "limit 0;" in executed(tmp_path, "int_transfers", "intermediate"), (
            "new tables are filled in parts, too"
        )
        assert not differences(lake, before)
        marts.dbt("run")
    assert executed(tmp_path, "fct_sales") == "select 'unchanged'", (
        "nothing is new after a new text was built"
    )


def out_of_order(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> int:
    """Rows of a table's file, built from nothing, that lie behind one of a later collection (ADR 69)."""
    files = con.execute(
        "select data_file from ducklake_list_files('lake', $table, schema => $schema)",
        {"table": table, "schema": schema},
    ).fetchall()
    assert len(files) == 1
    row = con.execute(
        """
        select count(*) filter (collection < before)
        from (
            select collection, lag(collection) over (order by file_row_number) as before
            from read_parquet($file, file_row_number => true)
        )
        """,
        {"file": files[0][0]},
    ).fetchone()
    assert row is not None
    return int(row[0])


def executed(scratch: Path, model: str, layer: str = "marts") -> str:
    """The statement that dbt has run last for a model."""
    return (scratch / "target" / "run" / "assay" / "models" / layer / f"{model}.sql").read_text().strip()


def stragglers(market: dict[str, list[Row]]) -> list[dict[str, list[Row]]]:
    """Take a few rows out that others depend on, to arrive last and one kind at a time.

    A day of rows touches nearly every collection from early on; only a handful shows whether what depends on a row
    is found where nothing else changed: a transaction in another collection, a later report, the sales after a rate.
    """
    sales = sorted(market["sales"], key=lambda row: row["known_at"])
    transactions: dict[str, list[Row]] = defaultdict(list)
    for row in sales:
        transactions[row["tx_hash"]].append(row)
    shared = [
        rows for rows in transactions.values() if len(rows) > 1 and rows[0]["known_at"] < rows[1]["known_at"]
    ]
    elsewhere = [rows[0] for rows in shared if rows[0]["collection"] != rows[1]["collection"]]
    twice = [rows[0] for rows in shared if rows[0]["source"] != rows[1]["source"]]
    vague = {row["source_row"].removeprefix("b:") for row in sales if row["tx_hash"].startswith("row:")}
    reported_vaguely = [row for row in sales if row["source_row"].removeprefix("sales:") in vague]
    free = {(r["collection"], r["token_id"]) for r in sales if r["price_native"] == 0}
    bids = [r for r in market["listings"] if r["side"] == "bid" and (r["collection"], r["token_id"]) in free]
    rates = [r for r in market["exchange_rates"] if r["known_at"] == START + timedelta(days=18)]
    late: list[dict[str, list[Row]]] = [
        {"sales": elsewhere[-3:]},
        {"exchange_rates": [r for r in rates if r["symbol"] == "ETH"]},
        {"exchange_rates": [r for r in rates if r["symbol"] == "USDC"], "listings": bids[:6]},
        {"sales": twice[-2:] + reported_vaguely[-2:], "transfers": market["transfers"][5:8]},
        {"token_traits": market["token_traits"][40:43]},
    ]
    for rows in late:
        for name, gone in rows.items():
            assert gone, name
            market[name] = [row for row in market[name] if not any(row is other for other in gone)]
    return late


def only_tails_were_built(lake: Lake) -> bool:
    with lake.read() as con:
        row = con.execute(
            "select not is_full and (select count(*) from ops.dirty_collections) = 0 from ops.mart_run"
        ).fetchone()
    return row is not None and bool(row[0])


def reorganise(lake: Lake) -> None:
    """A reorganisation replaces blocks and takes rows away; a source withdraws a token.

    In one collection only, or it would repair what the stragglers broke in the others.
    """
    with lake.write("reorganise") as con:
        con.execute(
            "update raw.sales set superseded_by = '0xnew' "
            "where hash(tx_hash) % 20 = 0 and collection = 'c0' and known_at > ?",
            [START + timedelta(days=10)],
        )
        con.execute("delete from raw.sales where hash(source_row) % 30 = 0 and collection = 'c0'")
        con.execute("delete from raw.transfers where hash(source_row) % 30 = 0")
        con.execute("delete from raw.token_traits where collection = 'c1' and token_id = '3'")


def every_rule_had_work_to_do(con: duckdb.DuckDBPyConnection) -> None:
    """An equality over rows that never occur would prove nothing."""

    def values(query: str) -> set[Any]:
        return {row[0] for row in con.execute(query).fetchall()}

    assert values("select distinct exclusion_reason from intermediate.int_sales_classified") == {
        None,
        "superseded",
        "duplicate",
        "duplicate_other_source",
        "missing_price",
        "zero_price",
        "no_rate",
        "primary_sale",
        "bundle",
    }
    rules = values("select unnest(string_split(wash_rules, ',')) from marts.fct_sales")
    assert rules >= {"self_trade", "traded_back", "bought_repeatedly", "sold_repeatedly"}
    assert min(values("select count(*) from marts.fct_sales where is_low_outlier")) > 3
    assert min(values("select count(*) from marts.fct_sales where n_in_tx > 1")) > 3
    sides = "select paid_by from intermediate.int_move_gas where gas_wei > 0"
    assert values(sides) == {"buyer", "seller"}
    accepted_bids = """
        select count(*) from intermediate.int_sales_classified
        where price_eth > 0 and source_row in (select source_row from raw.sales where price_native = 0)
    """
    assert min(values(accepted_bids)) > 0
    assert min(values("select count(*) from intermediate.int_repeated_traits where trait_key like '%#2'")) > 3
    assert values("select difference from marts.sales_reconciliation") == {0}
    assert values("select distinct kind from marts.fct_acquisitions") == {
        "bought",
        "minted",
        "received",
        "airdropped",
        "untraced",
    }
    assert values("select distinct kind from marts.fct_disposals") >= {"sold", "sent", "unseen"}
    assert values("select difference + units_not_matched from marts.moves_reconciliation") == {0}
    assert values(
        "select distinct collection from intermediate.int_moves where collection like '%punks'"
    ) == {"punks"}
    assert min(values("select count(*) from marts.fct_lots where disposed > 0 and held > 0")) > 2
