import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.models.local import FitTimeoutError, LocalConfig, LocalInputs, fit_local, predict_local
from ml.models.traits import ABSENT, RaggedTraitsError, TraitLists


def inputs(values: Sequence[Sequence[str | None]], types: tuple[str, ...] | None = None) -> LocalInputs:
    names = types or tuple(f"type {i}" for i in range(max(map(len, values))))
    lists = TraitLists.of(pa.chunked_array([pa.array(values, pa.list_(pa.string()))]), {"test": names})
    return LocalInputs(("number",), np.zeros((len(values), 1), np.float32), lists.of_collection("test"))


def test_a_trait_the_prior_missed_is_learnt_and_found_again_under_other_codes() -> None:
    rows = [["laser" if i % 4 == 0 else "plain", None] for i in range(400)]
    residual = np.array([0.4 if row[0] == "laser" else 0.0 for row in rows])
    model = fit_local(inputs(rows), residual, LocalConfig(), time.monotonic() + 60)
    # In this order "plain" gets the code that "laser" had: only the value itself may count.
    found = predict_local(model, inputs([["plain", None], ["laser", None], ["never seen", "x"]]))
    assert found[1] > found[0] + 0.25
    assert np.isfinite(found).all()


def test_a_fit_ends_when_its_time_is_over() -> None:
    rows = [[f"v{i % 50}"] * 8 for i in range(3000)]
    residual = np.random.default_rng(0).normal(size=3000)
    begun = time.monotonic()
    with pytest.raises(FitTimeoutError, match="of 5000"):
        fit_local(inputs(rows), residual, LocalConfig(iterations=5000), begun + 0.3)
    assert time.monotonic() - begun < 5


def test_null_traits_and_unknown_tokens_become_the_absent_value() -> None:
    found = inputs([["a", None], [], ["b", "c"]])
    assert found.traits.vocabulary[found.traits.codes].tolist() == [
        ["a", ABSENT],
        [ABSENT, ABSENT],
        ["b", "c"],
    ]


def test_ragged_traits_are_refused() -> None:
    with pytest.raises(RaggedTraitsError, match="expected 2 trait values"):
        inputs([["a", "b"], ["c"]])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=4, unique=True), st.data())
def test_any_name_of_a_type_finds_its_column_again(names: list[str], data: st.DataObject) -> None:
    rows = [[("laser" if i % 4 == 0 else "plain") for _ in names] for i in range(80)]
    residual = np.array([0.4 if row[0] == "laser" else 0.0 for row in rows])
    model = fit_local(inputs(rows, tuple(names)), residual, LocalConfig(iterations=5), time.monotonic() + 60)
    order = data.draw(st.permutations(names))
    mixed = [["gold", *row] for row in rows]
    again = inputs(mixed, ("\ttype not seen before", *order))
    np.testing.assert_array_equal(
        predict_local(model, inputs(rows, tuple(names))), predict_local(model, again)
    )
