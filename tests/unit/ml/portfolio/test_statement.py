"""A statement never invents a gain: what has no known cost is counted, valued, and in no gain."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lake.connection import Lake
from ml.portfolio.gains import gain_rows, record_gains
from ml.portfolio.history import DayValue, time_weighted_return, value_history
from ml.portfolio.ledger import read_ledger
from ml.portfolio.positions import record_positions
from ml.portfolio.statement import make_statement
from ml.portfolio.valuation import value_portfolio
from ml.portfolio.wallets import record_wallet_valuations
from ml.states import LotMethod
from tests.unit.ml.portfolio.conftest import DAY, ETHER, NOW, ONE, OTHER, TWO, position, write

pytestmark = pytest.mark.slow


def test_cost_and_date_go_along_between_own_wallets(owned: Lake) -> None:
    with owned.read() as con:
        statement = make_statement(con, [], read_ledger(con, [ONE, TWO]))
    first, second = statement.tokens
    assert (first["token_id"], first["basis_status"], first["cost_eth"], first["wallet"]) == (
        "1",
        "carried",
        1.0,
        TWO,
    )
    assert first["acquired_at"] == NOW - 400 * DAY
    assert (second["token_id"], second["basis_status"], second["cost_eth"]) == ("2", "unknown", None)
    assert (second["unknown_basis_reason"], second["acquisition_tx_hash"]) == (
        "received_without_price",
        "0xa2",
    )


def test_a_wallet_by_itself_does_not_know_what_its_owner_paid_elsewhere(owned: Lake) -> None:
    with owned.read() as con:
        statement = make_statement(con, [], read_ledger(con, [TWO]))
    assert [row["basis_status"] for row in statement.tokens] == ["unknown", "unknown"]
    assert (statement.gain_eth, statement.gain_80_eth, statement.without_cost) == (None, None, 2)


def test_the_unrealised_gain_is_of_tokens_with_a_known_cost_alone(owned: Lake) -> None:
    with owned.read() as con:
        statement = make_statement(con, [], read_ledger(con, [ONE, TWO]))
    assert statement.value.sum_eth == pytest.approx(2.2 + 3.3)
    assert (statement.valued_with_cost, statement.without_cost, statement.cost_eth) == (1, 1, 1.0)
    assert statement.gain_eth == pytest.approx(2.2 - 1.0)
    assert statement.gain_80_eth == pytest.approx((1.0 - 1.0, 4.0 - 1.0))
    assert statement.gain_usd == pytest.approx(2.2 * 2500 - 1000)
    assert (statement.floor_eth, statement.last_sales_eth) == (3.0, 2.0)


def test_realised_gains_are_known_or_have_a_reason(owned: Lake) -> None:
    with owned.read() as con:
        ledger = read_ledger(con, [ONE, TWO])
    rows = {row["token_id"]: row for row in gain_rows(ledger)}
    assert set(rows) == {"3", "4", "5"}  # the own move of token 1 is no disposal
    assert (rows["3"]["gain_wei"], rows["3"]["gain_usd"], rows["3"]["is_long_term"]) == (ETHER, 4000.0, True)
    assert (rows["3"]["holding_days"], rows["3"]["no_gain_reason"]) == (370, None)
    assert (rows["4"]["gain_wei"], rows["4"]["no_gain_reason"]) == (None, "received_without_price")
    assert (rows["5"]["gain_wei"], rows["5"]["no_gain_reason"], rows["5"]["cost_wei"]) == (
        None,
        "sent",
        ETHER // 2,
    )
    assert gain_rows(ledger, start=NOW - 9 * DAY, end=NOW - 8 * DAY) == [rows["4"]]


def test_sales_without_any_known_gain_have_no_sum(owned: Lake) -> None:
    with owned.write("the cost of token 3 is not known either, then its dollars alone") as con:
        both = make_statement(con, [], read_ledger(con, [ONE, TWO]))
        con.execute("update marts.fct_acquisitions set cost_usd = null where token_id = '3'")
        no_dollars = make_statement(con, [], read_ledger(con, [ONE, TWO]))
        con.execute(
            "update marts.fct_acquisitions set cost_wei = null, basis_status = 'unknown' where token_id = '3'"
        )
        neither = make_statement(con, [], read_ledger(con, [ONE, TWO]))
    assert (both.realized_eth, both.realized_usd, both.realized_unknown) == (1.0, 4000.0, 1)
    assert (no_dollars.realized_eth, no_dollars.realized_usd) == (1.0, None)
    assert (neither.realized_eth, neither.realized_usd) == (None, None), "not 0"
    assert (neither.realized_sales, neither.realized_unknown) == (2, 2)


def test_over_a_year_is_more_than_365_days(owned: Lake) -> None:
    with owned.write("sold after 365 days, and a moment later") as con:
        con.execute(
            "update marts.fct_acquisitions set acquired_at = $1 where acquisition_id = 'a3'",
            [NOW - 375 * DAY],
        )
        assert not gain_rows(read_ledger(con, [ONE]))[1]["is_long_term"]
        con.execute(
            "update marts.fct_acquisitions set acquired_at = $1 where acquisition_id = 'a3'",
            [NOW - 375 * DAY - timedelta(seconds=1)],
        )
        assert gain_rows(read_ledger(con, [ONE]))[1]["is_long_term"]


def test_the_past_is_valued_by_its_own_estimates_and_holdings(owned: Lake) -> None:
    then = NOW - 5 * DAY
    with owned.read() as con:
        ledger = read_ledger(con, [ONE, TWO], until=NOW - 60 * DAY)
        assert set(ledger.held) == {("apes", "1"), ("apes", "3"), ("apes", "4"), ("apes", "5")}
        statement = make_statement(con, [], read_ledger(con, [ONE, TWO], until=then), then)
    by_token = {row["token_id"]: row for row in statement.tokens}
    assert by_token["1"]["estimate_eth"] == 1.6
    assert by_token["2"]["no_value_reason"] == "not_estimated_before"
    assert statement.value.as_of == NOW - 7 * DAY


def test_changes_add_up_and_say_what_was_not_compared(owned: Lake) -> None:
    with owned.read() as con:
        statement = make_statement(con, [], read_ledger(con, [ONE, TWO]))
    week = next(change for change in statement.changes if change.days == 7)
    assert (week.tokens, week.without) == (1, 1)
    assert week.change_eth == pytest.approx(2.2 - 1.76)
    assert week.market_eth + week.tokens_eth + week.models_eth == pytest.approx(week.change_eth)
    assert week.models_eth == 0.0


def test_every_wallet_is_valued_as_it_would_be_alone(owned: Lake) -> None:
    with owned.write("value") as con:
        report = record_wallet_valuations(con, NOW)
        assert (report["wallets"], report["rows_written"]) == (2, 2)
        for wallet, tokens in (
            (TWO, [("apes", "1"), ("apes", "2")]),
            (OTHER, [("apes", "3"), ("birds", "9")]),
        ):
            alone = value_portfolio(con, tokens)
            row = con.execute(
                "select value_eth, lower_80_eth, upper_80_eth, tokens, tokens_valued from"
                " predictions.wallet_valuations where wallet = $1",
                [wallet],
            ).fetchone()
            assert row is not None
            assert row[:3] == pytest.approx((alone.sum_eth, alone.lower_80_eth, alone.upper_80_eth))
            assert row[3:] == (2, len(alone.tokens))


def test_only_what_changed_is_written_and_an_emptied_wallet_once(owned: Lake) -> None:
    with owned.write("days") as con:
        record_wallet_valuations(con, NOW)
        assert record_wallet_valuations(con, NOW)["rows_written"] == 2  # the same day again replaces it
        assert record_wallet_valuations(con, NOW + DAY)["rows_written"] == 0
        con.execute("delete from marts.fct_wallet_positions where wallet = $1", [OTHER])
        assert record_wallet_valuations(con, NOW + 2 * DAY)["rows_written"] == 1
        assert record_wallet_valuations(con, NOW + 3 * DAY)["rows_written"] == 0
        history = value_history(con, [OTHER, TWO])
    assert [(day.as_of, day.tokens) for day in history] == [(NOW, 4), (NOW + 2 * DAY, 2)]
    assert history[1].value_eth == pytest.approx(5.5)


def test_no_position_is_no_row_and_no_error(owned: Lake) -> None:
    with owned.write("nothing is held") as con:
        con.execute("delete from marts.fct_wallet_positions")
        assert record_wallet_valuations(con, NOW) == {
            "wallets": 0,
            "positions": 0,
            "rows_written": 0,
            "value_eth": 0.0,
        }


def test_several_units_count_as_often(owned: Lake) -> None:
    write(owned, "marts.fct_wallet_positions", [position("0xmany", "1", 5.0, quantity=7)])
    with owned.write("value") as con:
        record_wallet_valuations(con, NOW)
        row = con.execute(
            "select units, value_eth, lower_80_eth, floor_eth, cost_eth from predictions.wallet_valuations"
            " where wallet = '0xmany'"
        ).fetchone()
        alone = value_portfolio(con, [("apes", "1")], units={("apes", "1"): 7})
    assert row == pytest.approx((7, 7 * 2.2, 7 * 1.0, 7 * 1.5, 5.0))
    assert (alone.sum_eth, alone.lower_80_eth) == pytest.approx((7 * 2.2, 7.0))


def test_owners_are_written_with_their_own_lots(owned: Lake) -> None:
    with owned.write("owners") as con:
        owners = {"me": (ONE, TWO)}
        assert (
            record_positions(con, owners, LotMethod.FIFO)
            == record_positions(con, owners, LotMethod.FIFO)
            == 2
        )
        assert record_gains(con, owners, LotMethod.FIFO) == record_gains(con, owners, LotMethod.FIFO) == 3
        rows = con.execute(
            "select owner, token_id, basis_status, cost_wei from predictions.wallet_positions order by token_id"
        ).fetchall()
        assert [tuple(row) for row in rows] == [("me", "1", "carried", ETHER), ("me", "2", "unknown", None)]
        assert record_gains(con, {}, LotMethod.FIFO) == 0


def test_what_is_put_in_or_taken_out_is_no_return(owned: Lake) -> None:
    with owned.read() as con:
        ledger = read_ledger(con, [ONE])
    days = [
        DayValue(NOW - n * DAY, value, 0.0, 1) for n, value in ((13, 5.0), (11, 10.0), (9, 8.0), (7, 4.0))
    ]
    # 13 to 11 days ago nothing came or went; until 9 days ago a token was sold for 3; then two periods hold an unknown
    earned = time_weighted_return(days, ledger)
    assert earned.rate == pytest.approx(2.0 * (8.0 + 3.0) / 10.0 - 1.0)
    assert (earned.periods, earned.left_out) == (2, 1)
    assert time_weighted_return([], ledger).rate is None
