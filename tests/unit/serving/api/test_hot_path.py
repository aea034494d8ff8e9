"""The short way keeps what is the same for a second: it must say what the route says at every time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from serving.api.app import build_app
from serving.api.config import ApiConfig
from serving.store.files import read_pointer
from serving.store.sqlite.store import SqliteStore
from serving.views.answer import answer_end, end_holds_until
from tests.unit.serving.market import PUBLISHED, Market

ROUTED = {"more": "1"}
FORWARD_AND_BACK = (0.0, 0.4, 0.6, 1.0, 1.1, 59.9, 0.2, 7200.0, 900_000.0, 3.0)


def test_the_short_way_and_the_route_agree_at_every_time_and_after_each_publication(tmp_path: Path) -> None:
    market, folder = Market(tmp_path / "home"), tmp_path / "store"
    market.open(("Apes", "a/b"), tokens=4)
    market.publish(folder)
    now = PUBLISHED
    store = SqliteStore(folder, clock=lambda: now, look_s=0)
    app = build_app(ApiConfig(folder, tmp_path / "api", anonymous_limit=""), store, lambda: now)
    seen = set()
    with TestClient(app) as client:
        for _ in range(2):
            for later in FORWARD_AND_BACK:
                now = PUBLISHED + later
                for path in ("/v1/tokens/Apes/3", "/v1/tokens/a%2Fb/2"):
                    short, routed = client.get(path), client.get(path, params=ROUTED)
                    assert (short.status_code, short.content) == (200, routed.content)
                    assert short.headers["etag"] == routed.headers["etag"]
                    seen.add((short.json()["publication"], short.json()["stale"]))
            market.value_again(("Apes",))
            market.publish(folder, now=PUBLISHED + 1)
    assert len(seen) == 4  # two versions, each fresh and stale


@settings(deadline=None)
@given(
    later=st.floats(-10, 200_000),
    lag=st.floats(0, 100_000),
    limit=st.floats(0, 200_000),
    share=st.floats(0, 1, exclude_max=True),
)
def test_the_end_of_an_answer_holds_until_its_time(
    later: float, lag: float, limit: float, share: float, folder: Path
) -> None:
    pointer = replace(read_pointer(folder), confirmed_at=PUBLISHED, lag_s=lag, stale_after_s=limit)
    now = PUBLISHED + later
    until = end_holds_until(pointer, now)
    meanwhile = now + share * (until - now)
    assert until >= now
    # Where adding seconds since 1970 rounds, the last microsecond is either side's.
    if until - meanwhile > 1e-5:
        assert answer_end(pointer, meanwhile) == answer_end(pointer, now)
