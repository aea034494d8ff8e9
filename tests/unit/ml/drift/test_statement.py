"""The figures of the statement, computed by hand or by scipy from the same sales."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control, kstwobign

from ml.drift.config import DriftConfig
from ml.drift.scoring import FRESH, score_drift
from ml.drift.statement import MEAN_DISTANCE
from tests.unit.ml.drift.market import NAMES, NOW, market, sales

TENS = DriftConfig(window_sales=((0, 10),))


def _score(con, feature, config=TENS, collection="c0"):
    row = con.execute(
        f"select * from {FRESH} where collection = $1 and feature = $2", [collection, feature]
    ).df()
    assert len(row) == 1, config
    return row.iloc[0]


def test_ks_and_psi_are_those_computed_by_hand():
    frame = sales(n=70)
    # Reference: forty sales, each tenth of them one decile. Newest window: ten sales above the last decile.
    frame.loc[:39, "a_token"] = np.random.default_rng(1).permutation(np.arange(1.0, 41.0))
    frame.loc[40:59, "a_token"] = 20.0
    frame.loc[60:, "a_token"] = 50.0
    con = market(frame)
    score_drift(con, NOW, TENS)
    found = _score(con, "a_token")
    assert (found.n_reference, found.n_current) == (40, 10)
    assert found.ks == pytest.approx(0.9)
    nearly_empty, full = 0.5 / 15, 10.5 / 15
    by_hand = 9 * (nearly_empty - 0.1) * math.log(nearly_empty / 0.1) + (full - 0.1) * math.log(full / 0.1)
    assert found.psi == pytest.approx(by_hand)


def test_the_reference_gives_the_ordinary_distance_and_kolmogorov_the_p_value():
    frame = sales(n=70, seed=3)
    con = market(frame)
    score_drift(con, NOW, TENS)
    for feature in ("a_token", "target_gap", "med_5_gap"):
        values = (frame.target_log if feature == "target_gap" else frame[feature]).to_numpy()
        reference, newest = values[:40], values[60:]
        edges = np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf")

        def distance(one, other, edges=edges):
            below = [(x[:, None] <= edges).mean(axis=0) for x in (one, other)]
            return np.abs(below[0] - below[1]).max()

        # Each window of the reference against the other three: ten sales and thirty.
        own = [
            distance(reference[i : i + 10], np.delete(reference, slice(i, i + 10))) for i in range(0, 40, 10)
        ]
        units = np.array(own) * math.sqrt(10 * 30 / 40)
        ordinary = max(units.mean() + TENS.caution * units.std(ddof=1) / 2, MEAN_DISTANCE)
        found = _score(con, feature)
        root = math.sqrt(10 * 40 / 50)
        assert found.ks == pytest.approx(distance(newest, reference), abs=1e-6)
        assert found.ordinary_ks == pytest.approx(ordinary / root, rel=1e-5)
        excess = found.ks * root * MEAN_DISTANCE / ordinary
        assert found.p_value == pytest.approx(kstwobign.sf(excess), abs=1e-5)


def test_q_values_are_benjamini_and_hochbergs_over_all_tests_of_the_pass():
    one_window = dataclasses.replace(TENS, judged_windows=1, votes=1)
    frames = [sales(f"c{i}", 70, seed=i) for i in range(4)]
    frames[0].loc[60:, NAMES[:20]] += 2
    con = market(*frames)
    score_drift(con, NOW, one_window)
    found = con.execute(f"select p_value, q_value from {FRESH} where p_value is not null").df()
    assert len(found) > 4 * len(NAMES)
    assert found.q_value.to_numpy() == pytest.approx(false_discovery_control(found.p_value))
    assert found.q_value.min() < 0.01 < found.q_value.max()


@pytest.mark.parametrize(
    ("moved", "state", "streak"),
    [
        ((), "ok", 0),
        ((3,), "suspect", 1),
        ((1, 2), "drifted", 0),
        ((1, 3), "drifted", 1),
        ((2, 3), "drifted", 2),
        ((1, 2, 3), "drifted", 3),
        ((1,), "ok", 0),
    ],
)
def test_a_drift_needs_two_of_the_last_three_windows(moved, state, streak):
    frame = sales(n=20 * 15, seed=5)
    for window in moved:
        start = (11 + window) * 20
        frame.loc[start : start + 19, "target_log"] += 6
    con = market(frame)
    score_drift(con, NOW, DriftConfig())
    found = _score(con, "target_gap")
    assert (found.state, found.streak) == (state, streak)
    assert _score(con, "a_token").state == "ok"


def test_what_wanders_by_nature_is_not_called_drift_and_what_stood_still_is():
    frame = sales(n=20 * 15, seed=8)
    frame["med_100_gap"] = np.cumsum(np.random.default_rng(2).standard_normal(len(frame)))
    frame["log_sales"] = np.log(frame.seq)
    frame["a_token"] += np.where(frame.seq > 12 * 20, 6, 0)
    con = market(frame)
    score_drift(con, NOW, DriftConfig())
    assert _score(con, "log_sales").ks >= 0.9
    assert _score(con, "log_sales").state == "ok"
    assert _score(con, "med_100_gap").state == "ok"
    assert _score(con, "a_token").state == "drifted"


def test_a_move_that_is_certain_but_small_is_no_drift():
    config = DriftConfig(window_sales=((0, 400),))
    frame = sales(n=15 * 400, seed=4)
    frame.loc[12 * 400 :, "target_log"] += 0.35
    con = market(frame)
    score_drift(con, NOW, config)
    found = _score(con, "target_gap")
    assert found.p_value < 1e-6
    assert found.state == "ok"


def test_identical_distributions_are_not_flagged():
    con = market(*(sales(f"c{i}", 20 * 15, seed=100 + i) for i in range(40)))
    score_drift(con, NOW, DriftConfig())
    states = dict(
        con.execute(f"select state, count(*) from {FRESH} where n_current > 0 group by 1").fetchall()
    )
    assert states.get("drifted", 0) == 0
    assert states["ok"] > 40 * len(NAMES) * 0.99
