"""The lot methods agree with rp2, a tax calculator by others (version 1.7.2), on made-up trades of one asset.

`rp2_gains.jsonl` has one market a line: events (day, in or out, units, price of a unit) and the gain of each disposal,
by its place among the events, as rp2 computed it under each of its methods. It has no average cost.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ml.portfolio.lots import Acquired, Disposed, match_lots
from ml.states import Basis, LotMethod

START = datetime(2021, 1, 1)  # noqa: DTZ001 - the lake's naive UTC
MARKETS = [json.loads(line) for line in Path(__file__).with_name("rp2_gains.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", [LotMethod.FIFO, LotMethod.LIFO, LotMethod.HIFO])
def test_every_gain_is_that_of_rp2(method: LotMethod) -> None:
    compared = 0
    for market in MARKETS:
        events: list[Acquired | Disposed] = []
        for place, (day, kind, units, price) in enumerate(market["events"]):
            at, total = START + timedelta(days=day), units * price
            if kind == "in":
                events.append(
                    Acquired(str(place), "w", at, units, "bought", Basis.KNOWN, total, None, None, None)
                )
            else:
                events.append(Disposed(str(place), "w", at, units, "sold", total, None, None, None, None))
        found: dict[str, int] = {}
        for match in match_lots(events, method)[0]:
            assert match.proceeds_wei is not None
            assert match.cost_wei is not None
            found[match.disposal.id] = found.get(match.disposal.id, 0) + match.proceeds_wei - match.cost_wei
        assert found == market["gains"][method]
        compared += len(found)
    assert compared > 100
