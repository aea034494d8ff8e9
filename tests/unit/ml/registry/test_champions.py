"""Whatever a collection is called, its champions are registered, found again and rolled back, on a real store."""

from __future__ import annotations

import dataclasses
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ml.registry.artifacts import ArtifactStore
from ml.registry.champion import Champion
from ml.registry.champions import PREFIX, ChampionRegistry, model_name
from ml.states import Tier

NOW = datetime(2026, 1, 1)  # noqa: DTZ001 - the lake keeps naive UTC
HOSTILE = [
    "Creature's World",
    'a "quoted" name',
    "100% apes",
    "a_b",
    "back\\slash",
    "a/b",
    "a%2Fb",
    "a:b",
    "a\nb",
    " ",
    "",
    ".",
    "..",
    "'; drop table model_versions; --",
    "`ticks`",
    "猿の惑星",
    "latest",
    "v1",
    "assay.",
    "x" * 300,
    "é" * 100,
    "x" * 299 + "y",
]


def champion(collection: str, weight: float = 0.0) -> Champion:
    return Champion(collection, Tier.POOLED, "prior", None, weight, "index", "features", NOW, 1)


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> ChampionRegistry:
    return open_registry(tmp_path_factory.mktemp("registry"))


def open_registry(folder: Path) -> ChampionRegistry:
    return ChampionRegistry(
        f"sqlite:///{folder}/mlflow.sqlite", ArtifactStore.in_folder(folder / "artifacts")
    )


names = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=300), st.text(alphabet="%_'\\/:2Ff .", max_size=20)
)


@settings(max_examples=25, deadline=None)
@given(name=names)
@example(name="Creature's World")
@example(name="x" * 300)
def test_any_name_is_promoted_twice_and_rolled_back(registry: ChampionRegistry, name: str) -> None:
    before = registry.champions().get(name)
    start = before.version if before else 0
    first = registry.promote(champion(name, 0.125 + start), before)
    second = registry.promote(champion(name, 0.25 + start), first)
    assert (second.version, second.previous_version) == (first.version + 1, first.version)
    assert registry.champions()[name] == second
    again = registry.promote(champion(name, 0.25 + start), first)  # its lake did not know it
    assert again.version == second.version
    assert registry.rollback(name, second).version == first.version
    assert registry.champions()[name].identity() == first.identity()


@given(one=names, other=names)
def test_two_collections_never_share_a_model(one: str, other: str) -> None:
    assert (model_name(one) == model_name(other)) == (one == other)
    assert len(model_name(one)) <= 256
    assert not set(model_name(one)) & {"/", ":"}


def test_a_model_that_was_registered_under_its_whole_name_keeps_it(tmp_path: Path) -> None:
    """As in a home made when names were not shortened: no second model, and no version is lost."""
    registry, name = open_registry(tmp_path), "x" * 300
    registry.client.create_registered_model(PREFIX + name, tags={"assay.collection": name})
    old = registry._add_version(PREFIX + name, champion(name))
    registry.client.set_registered_model_alias(PREFIX + name, "champion", str(old))
    current = registry.champions()[name]
    assert registry.promote(champion(name, 0.5), current).version == 2
    assert [model.name for model in registry.client.search_registered_models()] == [PREFIX + name]


def test_a_home_whose_first_training_was_killed_goes_on_with_its_versions() -> None:
    """The registry has a version that the lake does not know; then another challenger comes."""
    with tempfile.TemporaryDirectory() as folder:
        registry = open_registry(Path(folder))
        registry.promote(champion("Creature's World"), None)
        assert registry.promote(champion("Creature's World"), None).version == 1
        assert registry.promote(champion("Creature's World", 0.5), None).version == 2


def test_a_model_made_without_a_version_gets_its_first(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.client.create_registered_model(
        "assay.Creature's World", tags={"assay.collection": "Creature's World"}
    )
    assert registry.promote(champion("Creature's World"), None) == dataclasses.replace(
        champion("Creature's World"), version=1
    )
