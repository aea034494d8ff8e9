"""A pass over the lake's tables: guards, each window once, nothing from the future, and what is kept."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from ml.drift.config import DriftConfig
from ml.drift.scoring import FRESH, keep_scores, score_drift
from ml.features.schema import FEATURES
from tests.unit.ml.drift.market import NOW, add, market, sales

DAY = timedelta(days=1)


def _pass(con, as_of=NOW, config=None):
    done = score_drift(con, as_of, config or DriftConfig())
    keep_scores(con, as_of, config or DriftConfig())
    return done


def _states(con, collection="c0"):
    return dict(
        con.execute(
            "select feature, state from monitoring.drift_scores where collection = $1"
            " qualify number = max(number) over ()",
            [collection],
        ).fetchall()
    )


def test_too_few_sales_are_a_state_and_not_a_verdict():
    frame = sales(n=139)
    frame.loc[100:, "target_log"] += 50
    con = market(frame)
    _pass(con)
    assert set(_states(con).values()) == {"too_few"}
    row = con.execute("select state, tested, drifted, worst_feature from monitoring.drift_status").fetchone()
    assert row == ("too_few", 0, 0, None)


def test_a_new_collection_next_to_an_old_one_is_too_few_and_changes_nothing():
    con = market(sales(n=300), sales("new", n=3, seed=1))
    _pass(con)
    assert set(_states(con, "new").values()) == {"too_few"}
    assert _states(con)["target_gap"] == "ok"


def test_no_sales_are_a_pass_without_scores():
    empty = market()
    assert _pass(empty).collections == 0
    assert empty.execute("select count(*) from monitoring.drift_status").fetchone() == (0,)


def test_an_unknown_feature_is_too_few_and_one_that_is_no_longer_reported_has_drifted():
    frame = sales(n=300)
    frame["rarity_pct"] = np.nan
    frame.loc[230:, "ask_gap"] = np.nan
    con = market(frame, errors=False)
    _pass(con)
    states = _states(con)
    assert states["rarity_pct"] == "too_few"
    assert states["ask_gap"] == "drifted"
    assert states["error"] == states["prediction_gap"] == "too_few"
    worst = con.execute(
        "select state, drifted, covariate, worst_feature from monitoring.drift_status where collection = 'c0'"
    ).fetchone()
    assert worst == ("drifted", 1, 1, "ask_gap")


def test_covariate_prior_and_concept_are_distinguished():
    frame = sales(n=300)
    con = market(frame)
    con.execute("update predictions.prior_walk_forward set prediction_log = prediction_log + 4"
                " where split_part(sale_id, '-', 2)::int >= 240")  # fmt: skip
    _pass(con)
    kinds = con.execute(
        "select distinct kind, feature from monitoring.drift_scores where state = 'drifted' order by all"
    ).fetchall()
    assert kinds == [("concept", "absolute_error"), ("concept", "error"), ("prior", "prediction_gap")]


def test_each_full_window_is_scored_once():
    con = market(sales(n=310), sales("c1", n=150, seed=2))
    assert _pass(con).collections == 3  # two collections and their market
    assert _pass(con).collections == 0
    rows = con.execute("select count(*) from monitoring.drift_scores").fetchone()
    later = sales(n=315)[310:]
    add(con, later)
    assert _pass(con).collections == 0, "five more sales do not fill a window"
    more = sales(n=330)[315:].assign(known_at=NOW - 0.1 * DAY)
    add(con, more)
    assert _pass(con).collections == 1
    per_collection = len(FEATURES) + 4
    assert (
        con.execute("select count(*) from monitoring.drift_scores").fetchone()[0] == rows[0] + per_collection
    )
    assert con.execute("select count(*) from monitoring.drift_status").fetchone() == (3,)


def test_what_becomes_known_later_changes_no_score():
    frame = sales(n=300, seed=9)
    before = market(frame[frame.known_at < NOW - 10 * DAY])
    whole = market(
        frame.assign(target_log=frame.target_log + np.where(frame.known_at < NOW - 10 * DAY, 0, 9))
    )
    for con in (before, whole):
        score_drift(con, NOW - 10 * DAY, DriftConfig())
    results = [
        con.execute(f"select * exclude evaluated_at from {FRESH} order by collection, feature").fetchall()
        for con in (before, whole)
    ]
    # DuckDB adds in the order in which its threads come: the last digit may differ.
    rounded = [
        [tuple(round(v, 12) if isinstance(v, float) else v for v in row) for row in rows] for rows in results
    ]
    assert rounded[0] == rounded[1]
    assert results[0]


def test_an_inactive_collection_is_neither_tested_nor_reported():
    con = market(sales(n=300), sales("c1", n=300, seed=1))
    _pass(con)
    assert len(con.execute("from monitoring.drift_status").fetchall()) == 3
    much_later = NOW + 200 * DAY
    assert _pass(con, much_later).collections == 0
    assert con.execute("from monitoring.drift_status").fetchall() == []
    assert con.execute("select count(*) from monitoring.drift_scores").fetchone() == (0,), "past retention"


def test_a_market_is_watched_by_day_with_what_its_thin_collections_sell():
    thin = [sales(f"c{i}", n=60, seed=i, days=59.9) for i in range(80)]
    for frame in thin:
        frame.loc[frame.known_at >= NOW - 3 * DAY, "a_level_gap"] += 4
    con = market(*thin)
    _pass(con)
    status = dict(con.execute("select collection, state from monitoring.drift_status").fetchall())
    assert status.pop("(market) ethereum") == "drifted"
    assert set(status.values()) == {"too_few"}
    drifted = con.execute("select feature from monitoring.drift_scores where state = 'drifted'").fetchall()
    assert drifted == [("a_level_gap",)]


def test_live_estimates_continue_where_the_walk_forward_ends():
    con = market(sales(n=300))
    con.execute("delete from predictions.prior_walk_forward where split_part(sale_id, '-', 2)::int >= 240")
    con.execute(
        "create or replace table monitoring.estimate_ledger as select sale_id, exp(target_log + 3) as estimate_eth,"
        " 'live' as origin from features.sale_features"
    )
    _pass(con)
    assert _states(con)["error"] == "drifted"


def test_settings_that_cannot_mean_anything_are_refused():
    with pytest.raises(ValueError, match="votes: expected 1 to 3, found 4"):
        DriftConfig(votes=4)
    with pytest.raises(ValueError, match="window_sales"):
        DriftConfig(window_sales=((5, 20),))
