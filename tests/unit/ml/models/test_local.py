import time

import numpy as np
import pyarrow as pa
import pytest

from ml.models.collection_reader import trait_codes
from ml.models.local import (
    ABSENT,
    FitTimeoutError,
    LocalConfig,
    LocalInputs,
    fit_local,
    predict_local,
    trait_matrix,
)


def inputs(values: list[list[str | None]]) -> LocalInputs:
    codes, offsets, vocabulary = trait_codes(pa.chunked_array([pa.array(values, pa.list_(pa.string()))]))
    numbers = np.zeros((len(values), 1), np.float32)
    return LocalInputs(numbers, trait_matrix(codes, offsets, "test"), vocabulary)


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
    assert found.vocabulary[found.traits].tolist() == [["a", ABSENT], [ABSENT, ABSENT], ["b", "c"]]


def test_ragged_traits_are_refused() -> None:
    with pytest.raises(ValueError, match="same trait types"):
        inputs([["a", "b"], ["c"]])
