"""Lots of a token with several units: first in, last in, highest cost, average; parts add up to the wei."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.portfolio.lots import Acquired, Disposed, match_lots
from ml.states import Basis, LotMethod

START = datetime(2022, 1, 1)  # noqa: DTZ001 - the lake's naive UTC


def got(day: int, quantity: int, cost: int | None) -> Acquired:
    basis = Basis.UNKNOWN if cost is None else Basis.KNOWN
    why = "received_without_price" if cost is None else None
    usd = None if cost is None else 2.0 * cost
    return Acquired(
        f"a{day}", "w", START + timedelta(days=day), quantity, "bought", basis, cost, usd, why, "0x"
    )


def gave(day: int, quantity: int, proceeds: int | None = 1000) -> Disposed:
    kind = "sent" if proceeds is None else "sold"
    usd = None if proceeds is None else 2.0 * proceeds
    return Disposed(
        f"d{day}", "w", START + timedelta(days=day), quantity, kind, proceeds, usd, None, None, "0x"
    )


def costs(events: list[Acquired | Disposed], method: LotMethod) -> list[tuple[str, int, int | None]]:
    matched, _ = match_lots(events, method)
    return [(match.lot.id, match.quantity, match.cost_wei) for match in matched]


def test_each_method_takes_its_own_lots() -> None:
    events: list[Acquired | Disposed] = [got(1, 10, 100), got(2, 10, 300), got(3, 10, 200), gave(4, 15)]
    assert costs(events, LotMethod.FIFO) == [("a1", 10, 100), ("a2", 5, 150)]
    assert costs(events, LotMethod.LIFO) == [("a3", 10, 200), ("a2", 5, 150)]
    assert costs(events, LotMethod.HIFO) == [("a2", 10, 300), ("a3", 5, 100)]
    assert costs(events, LotMethod.AVERAGE) == [("a1", 10, 200), ("a2", 5, 100)]


def test_last_in_is_the_newest_at_the_time_of_the_disposal() -> None:
    events: list[Acquired | Disposed] = [got(1, 2, 20), got(2, 1, 50), gave(3, 1), got(4, 1, 70), gave(5, 2)]
    assert costs(events, LotMethod.LIFO) == [("a2", 1, 50), ("a4", 1, 70), ("a1", 1, 10)]


def test_the_average_is_that_of_the_units_held_then() -> None:
    events: list[Acquired | Disposed] = [
        got(1, 1, 100),
        gave(2, 1),
        got(3, 1, 300),
        got(4, 1, 500),
        gave(5, 1),
    ]
    assert costs(events, LotMethod.AVERAGE) == [("a1", 1, 100), ("a3", 1, 400)]


def test_highest_cost_compares_units_and_not_lots_and_takes_the_unknown_last() -> None:
    events: list[Acquired | Disposed] = [got(1, 10, 500), got(2, 1, 60), got(3, 1, None), gave(4, 12)]
    assert [lot for lot, _, _ in costs(events, LotMethod.HIFO)] == ["a2", "a1", "a3"]


def test_one_unknown_cost_makes_the_average_unknown_until_all_is_gone() -> None:
    events: list[Acquired | Disposed] = [
        got(1, 1, None),
        got(2, 1, 100),
        gave(3, 1),
        gave(4, 1),
        got(5, 1, 70),
        gave(6, 1),
    ]
    assert [cost for _, _, cost in costs(events, LotMethod.AVERAGE)] == [None, None, 70]


def test_what_was_never_acquired_is_untraced_and_has_no_cost() -> None:
    matched, left = match_lots([got(1, 1, 100), gave(2, 3)])
    assert [(m.lot.kind, m.quantity, m.cost_wei, m.lot.at is None) for m in matched] == [
        ("bought", 1, 100, False),
        ("untraced", 2, None, True),
    ]
    assert matched[1].lot.reason == "no_record_of_acquisition"
    assert left == []


def test_what_is_sent_keeps_its_cost_and_has_no_proceeds() -> None:
    (match,), left = match_lots([got(1, 4, 10), gave(2, 3, None)])
    assert (match.cost_wei, match.proceeds_wei) == (7, None)
    assert [(lot.held, lot.cost_wei) for lot in left] == [(1, 3)]


AMOUNTS = st.one_of(st.none(), st.integers(0, 10**27))
EVENTS = st.lists(st.tuples(st.booleans(), st.integers(1, 9), AMOUNTS), max_size=25)


@pytest.mark.parametrize("method", list(LotMethod))
@given(drawn=EVENTS)
def test_units_and_amounts_are_conserved(
    method: LotMethod, drawn: list[tuple[bool, int, int | None]]
) -> None:
    events: list[Acquired | Disposed] = [
        got(day, units, amount) if comes else gave(day, units, amount)
        for day, (comes, units, amount) in enumerate(drawn)
    ]
    matched, left = match_lots(events, method)
    for event in events:
        if isinstance(event, Disposed):
            parts = [match for match in matched if match.disposal.id == event.id]
            assert sum(match.quantity for match in parts) == event.quantity
            if event.proceeds_wei is not None:
                assert sum(match.proceeds_wei or 0 for match in parts) == event.proceeds_wei
    came = sum(event.quantity for event in events if isinstance(event, Acquired))
    untraced = sum(match.quantity for match in matched if match.lot.kind == "untraced")
    assert came + untraced == sum(match.quantity for match in matched) + sum(lot.held for lot in left)
    known = [event for event in events if isinstance(event, Acquired) and event.cost_wei is not None]
    if method != LotMethod.AVERAGE:
        spent = sum(match.cost_wei or 0 for match in matched) + sum(lot.cost_wei or 0 for lot in left)
        assert spent == sum(event.cost_wei or 0 for event in known)
