"""The rule against new wallets, as its SQL stands in the marts, with the settings that docs/leaks.md measured."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import pytest

from benchmarks.poisoning import SETTINGS, Setting, apply_rule

NOW = datetime(2024, 3, 1)  # noqa: DTZ001 - the lake's naive UTC
OFF, ON = SETTINGS[0], SETTINGS[2]
COLUMNS = (
    "sale_id varchar, collection varchar, tx_hash varchar, log_index bigint, sub_index bigint, event_time timestamp, "
    "known_at timestamp, price_eth double, buyer varchar, seller varchar"
)
Print = tuple[float, str | None, str | None]


def not_counted(prints: list[Print], days_after: float = 0.0, market: int = 30, setting: Setting = ON) -> int:
    """How many of these sales do not count: (price, buyer, seller) an hour apart, after a market of price 1.

    Every wallet of the market (w0, w1, …) had traded a month before; so had 0xpatient, and 0xhasty a day before.
    """
    con = duckdb.connect()
    con.execute(f"create schema intermediate; create table real ({COLUMNS})")
    con.execute(
        "create table intermediate.int_sales_classified "
        "(buyer varchar, seller varchar, known_at timestamp, exclusion_reason varchar)"
    )

    def add(
        table: str, number: int, at: datetime, price: float, buyer: str | None, seller: str | None
    ) -> None:
        if table == "real":
            row = (f"s{number:04d}", "apes", f"0x{number}", 0, 0, at, at, price, buyer, seller)
            con.execute("insert into real values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        con.execute(
            "insert into intermediate.int_sales_classified values (?, ?, ?, null)", (buyer, seller, at)
        )

    for i in range(market):
        add("met", i, NOW - timedelta(days=40), 1.0, f"w{i}", f"w{i + 1}")
        price = 0.9 if i % 2 else 1.1
        add("real", i, NOW - timedelta(days=5, hours=-i), price, f"w{i}", f"w{(7 * i + 3) % market}")
    for i in range(30):
        add("met", i, NOW - timedelta(days=9), 1.0, f"0xpatient{i}", "w0")
        add("met", i, NOW - timedelta(days=1), 1.0, f"0xhasty{i}", "w0")
    for i, (price, buyer, seller) in enumerate(prints):
        add("real", 1000 + i, NOW + timedelta(days=days_after, hours=i), price, buyer, seller)
    apply_rule(con, setting)
    row = con.execute("select count(*) filter (where sale_id >= 's1000' and left_out) from judged").fetchone()
    assert row is not None
    return int(row[0])


FRESH: list[Print] = [(3.0, f"0xnew{i}", f"0xold{i}") for i in range(20)]


def test_forty_new_wallets_make_no_price() -> None:
    assert not_counted(FRESH) == 20
    assert not_counted([(1 / 3, buyer, seller) for _, buyer, seller in FRESH]) == 20
    assert not_counted([(3.0, f"0xnew{i}", f"0xold{i}") for i in range(200)]) == 200, "however many they are"


def test_the_one_who_pays_must_be_known() -> None:
    assert not_counted([(3.0, f"0xnew{i}", "w1") for i in range(20)]) == 20, (
        "a known seller wants the high price"
    )
    assert not_counted([(3.0, "w1", f"0xnew{i}") for i in range(20)]) == 0
    assert not_counted([(0.3, "w1", f"0xnew{i}") for i in range(20)]) == 20
    assert not_counted([(0.3, f"0xnew{i}", "w1") for i in range(20)]) == 0


def test_a_rise_that_known_wallets_pay_counts_and_takes_the_new_ones_with_it() -> None:
    rise: list[Print] = [(3.0, f"w{i}", f"w{i + 3}") for i in range(20)]
    assert not_counted(rise) == 0
    assert not_counted([*rise, *FRESH]) == 0


def test_a_wallet_is_known_by_whom_it_met_days_before() -> None:
    assert not_counted([(3.0, f"0xpatient{i}", "w1") for i in range(20)]) == 0, (
        "who waits is not found by this rule"
    )
    assert not_counted([(3.0, f"0xhasty{i}", "w1") for i in range(20)]) == 20
    assert not_counted([(3.0, "0xself", "0xself")]) == 1, "who trades with itself has met nobody"


@pytest.mark.parametrize(
    ("prints", "days_after", "market"),
    [
        ([(1.2, "0xnew", "0xold")], 0, 30),
        ([(3.0, None, None)], 0, 30),
        ([(3.0, None, "0xold"), (0.3, "0xnew", None)], 0, 30),
        (FRESH, 0, 9),
        (FRESH, 0, 0),
        (FRESH, 200, 30),
    ],
    ids=[
        "an ordinary price",
        "unnamed",
        "the payer unnamed",
        "a thin market",
        "no market",
        "a market long ago",
    ],
)
def test_nothing_is_doubted_without_evidence(prints: list[Print], days_after: float, market: int) -> None:
    assert not_counted(prints, days_after, market) == 0


def test_the_rule_is_off_unless_it_is_switched_on() -> None:
    assert not_counted(FRESH, setting=OFF) == 0
