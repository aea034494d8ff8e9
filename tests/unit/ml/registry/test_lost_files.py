"""A lost model file is found from the state, fitted again from the lake, and until then the tier below answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml.pricing.scoring import score
from ml.registry.lost_files import RULE_LOST, LostFile, lost_files
from ml.states import Tier
from ml.training.due import collections_due, prior_due
from ml.training.pooled import train_pooled
from ml.training.pooled_tables import record_pooled
from tests.model_files import file_of, folder_of
from tests.unit.ml.conftest import END, FEATURES, POOLED, Market
from tests.unit.ml.training.test_collections import mirrored, train

pytestmark = pytest.mark.slow


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def lost(market: Market) -> list[LostFile]:
    with market.lake.read() as con:
        return lost_files(con, market.artifacts)


def files(market: Market) -> list[Path]:
    return sorted(folder_of(market.artifacts).rglob("*.cbm"))


def rows(market: Market, sql: str) -> list[tuple[Any, ...]]:
    with market.lake.read() as con:
        return con.execute(sql).fetchall()


def train_prior(market: Market, run_id: str = "again") -> None:
    with market.lake.read() as con:
        outcome = train_pooled(con, market.artifacts, run_id=run_id, config=POOLED, features=FEATURES)
    with market.lake.write("prior") as con:
        record_pooled(con, outcome)


def value(market: Market) -> dict[str, int]:
    with market.lake.write("score") as con:
        return score(con, market.artifacts, END, 7, features=FEATURES).collections_by_tier


ESTIMATES = """select collection, token_id, estimate_eth, lower_80_eth, upper_90_eth, tier, model_version, prior_version
    from predictions.token_estimates order by all"""
FOLDS = "select * from ops.prior_folds order by all"


def test_whichever_file_is_lost_it_is_reported_valued_without_and_fitted_again(priced: Market) -> None:
    train(priced)
    value(priced)
    assert lost(priced) == []
    before, folds, champions = rows(priced, ESTIMATES), rows(priced, FOLDS), mirrored(priced)
    content = {path: path.read_bytes() for path in files(priced)}
    assert len(content) == 7  # prior and scale model of three folds, one booster
    for number, path in enumerate(content):
        (truncate if number % 2 else remove)(path)
        (found,) = lost(priced)
        assert str(path) in found.problem
        tiers = value(priced)  # nothing fails, and no token loses its value
        assert sum(tiers.values()) - tiers["none"] == 5
        with priced.lake.read() as con:
            why, due = (
                prior_due(con, POOLED, lost=[found]),
                collections_due(con, lost=[found], features=FEATURES),
            )
        assert ("is lost" in str(why)) != (found.role == "booster")
        if found.role == "booster":
            assert due == [found.owner] == ["apes"]
            assert tiers == {Tier.POOLED: 4, Tier.INDEX: 1, "none": 2}
            assert train(priced, f"again-{number}", keys=due).counts() == {"kept": 1}
        else:
            assert (Tier.OWN in tiers) == (not found.in_force)
            train_prior(priced, f"again-{number}")
        assert path.read_bytes() == content[path]
    assert value(priced) == {Tier.OWN: 1, Tier.POOLED: 3, Tier.INDEX: 1, "none": 2}
    assert (rows(priced, ESTIMATES), rows(priced, FOLDS), mirrored(priced)) == (before, folds, champions)
    logged = rows(
        priced, f"select collection, action, reason from ops.decision_log where rule = '{RULE_LOST}'"
    )
    assert len(logged) == 7
    assert {(row[0], row[1]) for row in logged} == {("(pooled prior) ethereum", "refitted"), ("apes", "kept")}
    assert all(any(str(path) in reason for _, _, reason in logged) for path in content)


def test_all_files_lost_at_once_leave_the_index_and_come_back(priced: Market) -> None:
    train(priced)
    value(priced)
    before = rows(priced, ESTIMATES)
    for path in files(priced):
        remove(path)
    assert value(priced) == {Tier.INDEX: 5, "none": 2}
    train_prior(priced)
    train(priced, "again")
    assert lost(priced) == []
    value(priced)
    assert rows(priced, ESTIMATES) == before


def test_a_booster_that_the_gate_would_not_keep_is_not_kept_for_its_loss(priced: Market) -> None:
    """The champion cannot be compared, so it is replaced by what the sales support; it is never due again and again."""
    train(priced)
    with priced.lake.write("the trait that the booster knew is gone") as con:
        con.execute("update marts.dim_tokens set trait_values = ['plain', null] where collection = 'apes'")
    file_of(priced.artifacts, mirrored(priced)["apes"].local_sha).unlink()
    assert [file.owner for file in lost(priced)] == ["apes"]
    train(priced, "again", keys=["apes"])
    assert lost(priced) == []
    assert mirrored(priced)["apes"].version == 2
