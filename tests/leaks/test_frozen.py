"""Published estimates are never changed: traits revealed afterwards change later estimates only."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ml.features.build import build_token_features
from ml.pricing.scoring import score
from tests.leaks.market import END, Home, base_market
from tests.leaks.plants import reveal

_HISTORY = "select * from predictions.estimate_history where as_of <= $1 order by collection, token_id, as_of"


def _value(home: Home, as_of: datetime) -> dict[str, float]:
    with home.lake.write("score") as con:
        build_token_features(con, as_of)
        score(con, home.artifacts, as_of, 1)
    rows = home.query(
        "select token_id, estimate_eth from predictions.token_estimates where collection = 'reveal'"
    )
    return {row["token_id"]: row["estimate_eth"] for row in rows}


def test_a_reveal_changes_no_estimate_that_was_given(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.ingest(base_market(collections=("reveal", "sweep", "targets", "washed")))
    before = _value(home, END)
    published: list[dict[str, Any]] = home.query(_HISTORY, END)
    assert len(published) > 80
    home.ingest(reveal({}))
    after = _value(home, END + timedelta(days=2))
    assert home.query(_HISTORY, END) == published
    ratios = [after[str(token)] / before[str(token)] for token in range(0, 24, 3) if str(token) in before]
    assert max(ratios) > 1.05, "the reveal is news from now on"
