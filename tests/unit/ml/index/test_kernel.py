"""The compiled replay gives the numbers of the definition, wherever a window, a tie or a late row falls."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ml.index import kernel, replay, valuation
from ml.index.params import DEFAULT_PARAMS, IndexParams
from tests.unit.ml.index.oracle import SMALL_WINDOW, Oracle, batch_of, empty_outputs, make_collection


def run(batch: kernel.Batch, params: IndexParams):
    outputs = empty_outputs(batch)
    kernel.replay_batch(
        batch, 0, len(batch.first), params.variant_table(), params.step, params.keep_steps, params.block,
        params.min_sales, *outputs,
    )  # fmt: skip
    return outputs


CASES: dict[str, dict[str, Any]] = {
    "plain": {"n": 40, "tokens": 15, "types": 3},
    "no traits": {"n": 31, "tokens": 10, "types": 0},
    "one token": {"n": 25, "tokens": 1, "types": 2},
    "many values": {"n": 30, "tokens": 6, "types": 4, "values": 30},
    "traits of some tokens": {"n": 35, "tokens": 12, "types": 3, "untold": 0.4},
    "simultaneous": {"n": 40, "tokens": 8, "types": 3, "ties": 0.4},
    "late rows": {"n": 45, "tokens": 8, "types": 3, "late": 0.2},
    "uncertain times": {"n": 45, "tokens": 5, "types": 3, "unsure": 0.5},
    "everything": {"n": 60, "tokens": 7, "types": 2, "late": 0.15, "ties": 0.3, "unsure": 0.3},
    "ends on a rebuild": {"n": 36, "tokens": 8, "types": 2},
    "two sales": {"n": 2, "tokens": 3, "types": 2},
    "three sales": {"n": 3, "tokens": 3, "types": 2},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("block", [1, 3])
def test_replay_and_token_values_agree_with_the_definition(case: str, block: int) -> None:
    params = dataclasses.replace(SMALL_WINDOW, block=block)
    c = make_collection(seed=7, **CASES[case])
    oracle = Oracle(c, params)
    noise, out, tokens, summary = run(batch_of([c], params), params)

    np.testing.assert_allclose(noise, oracle.noise, rtol=1e-8)
    for v in range(2):
        for i in range(len(c.y)):
            if c.prefix[i] < params.min_sales:
                assert np.isnan(out[v, replay.OUT_MEAN, i])
                continue
            mean, var, level, own, level_var = oracle.predict(
                v, int(c.prefix[i]), int(c.token[i]), c.query_day[i]
            )
            found = out[v, :, i]
            np.testing.assert_allclose(
                found, [mean, level, own, var, level_var], atol=1e-8, err_msg=f"{v} {i}"
            )
    if len(c.y) < params.min_sales:
        assert np.isnan(tokens).all()
        return
    for token in range(len(c.codes)):
        a = oracle.predict(0, len(c.y), token, c.ref_day)
        b = oracle.predict(1, len(c.y), token, c.ref_day)
        row = tokens[token]
        a_token, b_token = row[valuation.TOK_A_TOKEN], row[valuation.TOK_B_TOKEN]
        np.testing.assert_allclose(summary[0], [a[2], a[4], b[2], b[4]], atol=1e-8)
        np.testing.assert_allclose([a_token, b_token], [a[3], b[3]], atol=1e-8)
        np.testing.assert_allclose(summary[0, 0] + row[valuation.TOK_A_TRAIT] + a_token, a[0], atol=1e-8)
        np.testing.assert_allclose(summary[0, 2] + row[valuation.TOK_B_TRAIT] + b_token, b[0], atol=1e-8)
        np.testing.assert_allclose(row[valuation.TOK_A_VAR], a[1], atol=1e-8)


def test_a_restart_from_stored_noises_equals_a_full_replay() -> None:
    c = make_collection(n=50, tokens=9, types=3, seed=3, ties=0.2, unsure=0.2, late=0.1)
    full = batch_of([c], SMALL_WINDOW)
    noise, out, tokens, summary = run(full, SMALL_WINDOW)
    for changed in range(1, 50, 4):
        first = SMALL_WINDOW.window_start(min(changed, int(c.prefix[changed:].min())))
        tail = batch_of([c], SMALL_WINDOW)._replace(
            row_off=np.array([0, 50 - first]),
            first=np.array([first]),
            start=np.array([changed]),
            sales=np.array([50 - first]),
            **{name: getattr(full, name)[first:] for name in ("day", "query_day", "y", "token", "prefix")},
        )
        outputs = empty_outputs(tail)
        outputs[0][:, : changed - first] = noise[:, first:changed]
        kernel.replay_batch(tail, 0, 1, SMALL_WINDOW.variant_table(), 3, 2, 3, 3, *outputs)
        keep = slice(changed - first, None)
        np.testing.assert_allclose(outputs[0][:, keep], noise[:, changed:], atol=1e-9)
        np.testing.assert_allclose(outputs[1][:, :, keep], out[:, :, changed:], atol=1e-9)
        np.testing.assert_allclose(outputs[2], tokens, atol=1e-9)
        np.testing.assert_allclose(outputs[3], summary, atol=1e-9)


def test_full_size_window_across_two_rebuilds() -> None:
    c = make_collection(n=1250, tokens=200, types=4, seed=5, ties=0.05)
    batch = batch_of([c], DEFAULT_PARAMS)
    noise, out, _, _ = run(batch, DEFAULT_PARAMS)
    oracle = Oracle.__new__(Oracle)
    oracle.c, oracle.params, oracle.noise = c, DEFAULT_PARAMS, noise
    oracle.y0 = float(batch.anchor[0])
    for i in (3, 49, 50, 51, 599, 899, 900, 901, 1199, 1200, 1249):
        for v in range(2):
            mean, var, level, own, level_var = oracle.predict(
                v, int(c.prefix[i]), int(c.token[i]), c.query_day[i]
            )
            np.testing.assert_allclose(out[v, :, i], [mean, level, own, var, level_var], atol=1e-8)


def test_a_later_sale_changes_nothing_before_it() -> None:
    c = make_collection(n=40, tokens=9, types=3, seed=11, ties=0.2, late=0.1)
    noise, out, _, _ = run(batch_of([c], SMALL_WINDOW), SMALL_WINDOW)
    planted = dataclasses.replace(c, y=c.y.copy())
    planted.y[30:] = 25.0
    noise2, out2, _, _ = run(batch_of([planted], SMALL_WINDOW), SMALL_WINDOW)
    np.testing.assert_array_equal(noise[:, :30], noise2[:, :30])
    np.testing.assert_array_equal(out[:, :, :31], out2[:, :, :31])


def test_collections_in_one_batch_do_not_touch_each_other() -> None:
    shapes = ((20, 2), (13, 0), (1, 0), (13, 3), (9, 1))
    several = [make_collection(n=n, tokens=6, types=t, seed=n) for n, t in shapes]
    together = run(batch_of(several, SMALL_WINDOW), SMALL_WINDOW)
    edge, token_edge = 0, 0
    for c in several:
        alone = run(batch_of([c], SMALL_WINDOW), SMALL_WINDOW)
        np.testing.assert_array_equal(together[1][:, :, edge : edge + len(c.y)], alone[1])
        np.testing.assert_array_equal(together[2][token_edge : token_edge + len(c.codes)], alone[2])
        edge, token_edge = edge + len(c.y), token_edge + len(c.codes)


def test_parameters_have_one_fingerprint_per_result() -> None:
    assert DEFAULT_PARAMS.fingerprint() == dataclasses.replace(DEFAULT_PARAMS, block=30).fingerprint()
    assert DEFAULT_PARAMS.fingerprint() != dataclasses.replace(DEFAULT_PARAMS, step=150).fingerprint()
    with pytest.raises(ValueError, match="block must divide step"):
        IndexParams(step=10, block=3)
