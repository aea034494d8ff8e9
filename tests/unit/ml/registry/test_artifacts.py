from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoostRegressor

from ml.registry.artifacts import ArtifactCorruptError, ArtifactMissingError, ArtifactStore
from tests.model_files import file_of


def fitted(seed: int) -> CatBoostRegressor:
    x = np.random.default_rng(0).normal(size=(200, 3))
    model = CatBoostRegressor(iterations=5, random_seed=seed, verbose=False, allow_writing_files=False)
    return model.fit(x, x[:, 0])


def test_same_fit_gives_the_same_file_and_loads_back(tmp_path: Path) -> None:
    store = ArtifactStore.in_folder(tmp_path)
    first, second = store.put_model(fitted(1)), store.put_model(fitted(1))
    assert first == second != store.put_model(fitted(2))
    x = np.zeros((1, 3))
    assert store.get_model(first).predict(x) == fitted(1).predict(x)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".cbm"}


def test_missing_or_altered_file_is_refused(tmp_path: Path) -> None:
    store = ArtifactStore.in_folder(tmp_path)
    with pytest.raises(ArtifactMissingError, match="found none; `assay run` fits it again"):
        store.get_model("0" * 64)
    sha = store.put_bytes(b"a model", "cbm")
    file_of(store, sha).write_bytes(b"another")
    with pytest.raises(ArtifactCorruptError, match="7 bytes that hash to"):
        store.get_model(sha)


def test_storing_again_replaces_a_damaged_file(tmp_path: Path) -> None:
    store = ArtifactStore.in_folder(tmp_path)
    sha = store.put_bytes(b"a model", "cbm")
    assert store.problem(sha) is None
    file_of(store, sha).write_bytes(b"a mo")
    assert store.problem(sha)
    assert store.put_bytes(b"a model", "cbm") == sha
    assert store.get_bytes(sha) == b"a model"


def test_a_file_that_cannot_be_read_is_lost(tmp_path: Path) -> None:
    store = ArtifactStore.in_folder(tmp_path)
    file_of(store, "0" * 64).mkdir(parents=True)
    assert "directory" in str(store.problem("0" * 64))
