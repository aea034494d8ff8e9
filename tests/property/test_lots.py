"""The marts of lots agree with a slow oracle that lives every wallet's life, event by event, on random markets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.portfolio.gains import gain_rows
from ml.portfolio.ledger import read_ledger
from sources.contract import RAW_TABLES, SALES
from sources.ethereum.chain import Standing
from sources.ethereum.decoders.trade import Trade
from sources.ethereum.rows import RowBuilder
from sources.local_chain.logs import ALICE, BOB, CAROL, ETH, NFT, moved
from tests.integration.marts_market import Marts, new_lake
from tests.integration.moves_market import ZERO
from tests.property.wallet_events import live
from tests.property.wallet_lives import WALLETS, Market, as_one_owner

MODELS = (
    "staging/stg_exchange_rates",
    "staging/stg_listings",
    "staging/stg_sales",
    "staging/stg_sale_amounts",
    "staging/stg_transfers",
    "intermediate/int_sales_classified",
    "marts/fct_sales",
    "marts/fct_collection_state",
    "intermediate/int_wrapped_tokens",
    "intermediate/int_transfers",
    "intermediate/int_sale_amounts",
    "intermediate/int_transaction_moves",
    "intermediate/int_moves",
    "intermediate/int_move_gas",
    "marts/fct_disposals",
    "marts/fct_acquisitions",
    "marts/fct_lots",
    "marts/fct_realized_gains",
    "marts/fct_wallet_positions",
    "marts/moves_reconciliation",
)


Build = Callable[[Market], duckdb.DuckDBPyConnection]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Makes the marts of a market in memory, by the SQL that dbt compiles for a full build."""
    scratch = tmp_path_factory.mktemp("compiled")
    Marts(new_lake(scratch / "home"), scratch).dbt("compile", "--full-refresh")
    texts = {
        name: (scratch / "target" / "compiled" / "assay" / "models" / f"{name}.sql").read_text()
        for name in MODELS
    }
    seed = Path(__file__).parents[2] / "dbt_project" / "seeds" / "custody_contracts.csv"
    con = duckdb.connect(config={"threads": 1})
    con.execute("attach ':memory:' as lake")
    con.execute("use lake")
    for schema in ("raw", "ops", "staging", "intermediate", "marts"):
        con.execute(f"create schema {schema}")
    con.execute("create table ops.sources as from (values ('one', 1), ('two', 2)) as t (name, priority)")
    con.execute(
        "create table staging.custody_contracts as select * from read_csv($1, all_varchar = true)",
        [str(seed)],
    )

    def make(market: Market) -> duckdb.DuckDBPyConnection:
        for name in ("sales", "transfers", "listings", "exchange_rates"):
            schema = RAW_TABLES[name].schema.append(pa.field("delivered_by", pa.string()))
            rows = [{"delivered_by": "one", **row} for row in market.rows.get(name, [])]
            batch = pa.Table.from_pylist(rows, schema=schema)  # noqa: F841
            con.execute(f"create or replace table raw.{name} as select * from batch")
        for name, text in texts.items():
            kind = "view" if name.startswith("staging") else "table"
            con.execute(f"create or replace {kind} {name.replace('/', '.')} as {text}")
        return con

    yield make
    con.close()


def found(con: duckdb.DuckDBPyConnection, sql: str) -> Counter[tuple[Any, ...]]:
    """Rows with their numbers; amounts as whole numbers."""
    rows = con.execute(sql).fetchall()
    return Counter(tuple(int(v) if hasattr(v, "as_integer_ratio") else v for v in row) for row in rows)


def differing(expected: Counter[tuple[Any, ...]], got: Counter[tuple[Any, ...]]) -> str:
    """What is missing and what is too much, for a failure that can be read."""
    return f"missing {sorted(map(str, (expected - got).elements()))[:5]}; " + (
        f"too much {sorted(map(str, (got - expected).elements()))[:5]}"
    )


def of_wallets(rows: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """Rows of the market's wallets: contracts that hold a token for nobody known are none."""
    return Counter({row: n for row, n in rows.items() if row[0] in WALLETS})


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_the_marts_agree_with_the_oracle(build: Build, seed: int, steps: int) -> None:
    market = live(seed, steps)
    con = build(market)

    expected = Counter(
        (wallet, *token, lot.kind, lot.at, lot.quantity, lot.gone, lot.cost, lot.reason)
        for wallet, token, lot in market.acquired
    )
    got = of_wallets(
        found(
            con,
            "select wallet, collection, token_id, kind, acquired_at, quantity, disposed, cost_wei,"
            " unknown_basis_reason from marts.fct_lots",
        )
    )
    assert got == expected, differing(expected, got)

    expected = Counter(market.gains)
    got = of_wallets(
        found(
            con,
            "select wallet, collection, token_id, quantity, acquisition_kind, disposal_kind, acquired_at, disposed_at,"
            " cost_wei, proceeds_wei, gain_wei, no_gain_reason from marts.fct_realized_gains",
        )
    )
    assert got == expected, differing(expected, got)

    expected = Counter()
    for wallet, token in {(wallet, token) for wallet, token, _ in market.acquired}:
        lots = [lot for lot in market.lots[wallet, token] if lot.held]
        costs = [lot.cost_of(lot.gone, lot.quantity) for lot in lots]
        if lots:
            cost = None if None in costs else sum(costs)  # type: ignore[arg-type]
            expected[wallet, *token, sum(lot.held for lot in lots), len(lots), cost] += 1
    got = of_wallets(
        found(
            con,
            "select wallet, collection, token_id, quantity, lots, cost_wei from marts.fct_wallet_positions",
        )
    )
    assert got == expected, differing(expected, got)

    assert con.execute(
        "select count(*) from marts.moves_reconciliation where difference <> 0 or units_not_matched <> 0"
    ).fetchone() == (0,)
    assert con.execute(
        "select count(*) from marts.fct_realized_gains where gain_wei is null and no_gain_reason is null"
        " or gain_wei is not null and no_gain_reason is not null"
    ).fetchone() == (0,)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    steps=st.integers(1, 60),
    wallets=st.sets(st.sampled_from(WALLETS), min_size=1, max_size=4),
)
def test_moves_between_own_wallets_realise_nothing(
    build: Build, seed: int, steps: int, wallets: set[str]
) -> None:
    market = live(seed, steps)
    together, owner = as_one_owner(market, wallets), min(wallets)
    ledger = read_ledger(build(market), sorted(wallets))

    expected = Counter(together.gains)
    got = Counter(
        (
            owner,
            *(
                row[name]
                for name in ("collection", "token_id", "quantity", "acquisition_kind", "disposal_kind")
            ),
            *(row[name] for name in ("acquired_at", "disposed_at", "cost_wei", "proceeds_wei", "gain_wei")),
            row["no_gain_reason"],
        )
        for row in gain_rows(ledger)
    )
    assert got == expected, differing(expected, got)

    held = {
        token: [(lot.kind, lot.at, lot.held, lot.cost_of(lot.gone, lot.quantity)) for lot in lots if lot.held]
        for (_, token), lots in together.lots.items()
    }
    kept = {
        token: [(lot.lot.kind, lot.lot.at, lot.held, lot.cost_wei) for lot in lots]
        for token, lots in ledger.held.items()
    }
    assert kept == {token: lots for token, lots in held.items() if lots}


COUNTED = (
    "select wallet, collection, token_id, kind, acquired_at, quantity, disposed, cost_wei, unknown_basis_reason"
    " from marts.fct_lots",
    "select wallet, collection, token_id, quantity, acquisition_kind, disposal_kind, acquired_at, disposed_at,"
    " cost_wei, proceeds_wei, gain_wei, no_gain_reason from marts.fct_realized_gains",
)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    steps=st.integers(1, 40),
    hash_is_known=st.booleans(),
    price_is_known=st.booleans(),
)
def test_a_second_report_of_a_move_is_no_second_move(
    build: Build, seed: int, steps: int, hash_is_known: bool, price_is_known: bool
) -> None:
    """Another source reports everything again: under another log, without a hash, or without a price."""
    market = live(seed, steps)
    con = build(market)
    before = [found(con, sql) for sql in COUNTED]
    for name in ("sales", "transfers"):
        market.rows[name] += [
            _second_report(row, hash_is_known, price_is_known) for row in market.rows.get(name, [])
        ]
    con = build(market)
    for expected, sql in zip(before, COUNTED, strict=True):
        got = found(con, sql)
        assert got == expected, differing(expected, got)


def _second_report(row: dict[str, Any], hash_is_known: bool, price_is_known: bool) -> dict[str, Any]:
    again = {**row, "delivered_by": "two", "source": "other", "known_at": row["known_at"] + timedelta(days=1)}
    # the rows of two sources may have one name
    again |= (
        {"log_index": row["log_index"] + 500} if hash_is_known else {"tx_hash": f"row:{row['source_row']}"}
    )
    if "price_native" in row and not price_is_known:
        again["price_native"] = None
    return again


def test_what_the_logs_of_a_chain_state_is_the_cost_and_what_the_seller_keeps(build: Build) -> None:
    """4 units for 1 ether in all: the price is the cost, and what fee and royalty leave of it are the proceeds."""
    rows = RowBuilder("ethereum", frozenset({NFT}))
    logs, time = [moved(ALICE, BOB, 7)], 1_700_000_000
    paid = Trade("x2y2", 1, 0, NFT, 7, 4, ETH, seller=ALICE, buyer=BOB, fee=ETH // 40, royalty=ETH // 20)
    rows.add_trades(logs, Standing(time, time), [paid])
    sold = replace(paid, log_index=2, seller=BOB, buyer=CAROL, quantity=3)
    rows.add_trades([replace(logs[0], tx_hash="0x" + "9" * 64)], Standing(time + 60, time + 60), [sold])
    market = Market(Random(0))
    market.rows["sales"] = rows.batch(SALES).rows.to_pylist()
    con = build(market)
    parts = (
        "select quantity, cost_wei, proceeds_wei, fees_wei, gain_wei"
        " from marts.fct_realized_gains where wallet = $1"
    )
    kept, spent = ETH - ETH // 40 - ETH // 20, ETH * 3 // 4
    assert con.execute(parts, [BOB]).fetchall() == [(3, spent, kept, ETH - kept, kept - spent)]
    assert con.execute(parts, [ALICE]).fetchall() == [(4, None, kept, ETH - kept, None)]


def test_an_empty_market_has_no_lot(build: Build) -> None:
    con = build(live(0, 0))
    for name in (
        "fct_acquisitions",
        "fct_disposals",
        "fct_lots",
        "fct_realized_gains",
        "fct_wallet_positions",
    ):
        assert con.execute(f"select count(*) from marts.{name}").fetchone() == (0,)


def test_every_kind_of_event_is_drawn() -> None:
    market = live(1, 3000)
    kinds = Counter(lot.kind for _, _, lot in market.acquired)
    assert set(kinds) == {"bought", "minted", "airdropped", "received", "untraced"}
    assert {row[5] for row in market.gains} == {"sold", "sent", "burned", "unseen"}
    assert any(row["collection"] == "wpunks" for row in market.rows["sales"])
    assert any(row["from_address"] == ZERO for row in market.rows["transfers"])
    assert any(0 < lot.gone < lot.quantity for _, _, lot in market.acquired)
