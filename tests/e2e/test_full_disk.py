"""A disk that is full when a stage begins: a sentence, and then the same tables as with room."""

from __future__ import annotations

import random

import pytest

from benchmarks.full_disk import OTHER_STEPS, fill_each_stage, small_disk
from benchmarks.steps import SMALL
from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import content, differences
from tests.homes import small_market

pytestmark = pytest.mark.slow

STAGES = ("raw_facts", "marts", "pooled_prior", "token_estimates", "published_estimates")


@pytest.mark.timeout(1200)
def test_a_full_disk_in_each_stage_is_a_sentence_and_loses_nothing(tmp_path_factory, tmp_path):
    try:
        with small_disk(tmp_path / "disk") as disk:
            tries, failed = fill_each_stage(SMALL, disk, tmp_path, random.Random(20261130), STAGES)
            kept = content(Lake(LakeConfig(disk / "home")))
    except PermissionError as error:
        pytest.skip(f"A small disk is needed: {error}.")
    assert [one.what for one in tries if not one.reached] == []
    assert {one.what: one.text for one in tries if one.what != "maintain" and not one.is_clear} == {}
    assert any(one.code for one in tries)
    assert failed == []
    assert differences(content(Lake(LakeConfig(small_market(tmp_path_factory)[0]))), kept) == []
    assert set(OTHER_STEPS) < {one.what for one in tries}
