"""A registry whose file is gone or damaged: versions have their numbers again, and none is given twice."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.registry.artifacts import ArtifactStore
from ml.registry.champion import Champion
from ml.registry.champions import ChampionRegistry
from ml.registry.errors import RegistryError
from ml.registry.mirror import Decision, read_champions, record, rollback
from ml.registry.rebuilding import RULE, rebuild_lost_models
from ml.retraining.policy import RetrainingPolicy
from ml.states import Action, Tier
from ml.tables.registry import TABLES
from orchestration.retraining.notices import OPEN_DAYS, model_alerts

NOW = datetime(2026, 1, 1)  # noqa: DTZ001 - the lake keeps naive UTC
NAMES = ("apes", "it's @ 2", "rolled back")


def open_registry(home: Path) -> ChampionRegistry:
    return ChampionRegistry(f"sqlite:///{home}/mlflow.sqlite", ArtifactStore.in_folder(home / "artifacts"))


def promote(lake: Lake, registry: ChampionRegistry, collection: str, weight: float) -> Champion:
    with lake.write("promote") as con:
        current = read_champions(con).get(collection)
        wanted = Champion(collection, Tier.POOLED, "prior", None, weight, "index", "features", NOW, 1)
        made = registry.promote(wanted, current)
        before = current.model_version if current else None
        decision = Decision(
            NOW, "run", collection, Action.PROMOTED, "better", "it is", {}, made.model_version, before
        )
        record(con, [made], [decision])
    return made


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three versions of each collection, one of them rolled back."""
    first = tmp_path_factory.mktemp("registry") / "first"
    lake, registry = Lake(LakeConfig(first, memory_limit="500MB"), TABLES), open_registry(first)
    for weight in (0.1, 0.2, 0.3):
        for name in NAMES:
            promote(lake, registry, name, weight)
    with lake.write("roll back") as con:
        rollback(con, registry, NAMES[2], "run", "worse")
    with lake.write("nothing is lost") as con:
        assert rebuild_lost_models(con, registry, "run", NOW) == []
    return first


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, b"", b"no database " * 500])
def test_a_lost_registry_is_made_again(first: Path, tmp_path: Path, content: bytes | None) -> None:
    home = tmp_path / "again"
    before, aliases = open_registry(first).champions(), open_registry(first).aliases()
    assert before[NAMES[2]].version == 2
    # On another path: MLflow keeps the store of this one open.
    shutil.copytree(first, home, ignore=shutil.ignore_patterns("mlflow.sqlite*"))
    if content is not None:
        (home / "mlflow.sqlite").write_bytes(content)
    lake, registry = Lake(LakeConfig(home, memory_limit="500MB"), TABLES), open_registry(home)
    with lake.write("register again") as con:
        assert rebuild_lost_models(con, registry, "run", NOW) == sorted(NAMES)
        assert rebuild_lost_models(con, registry, "run", NOW) == []
        rows = con.execute("select count(*) from ops.decision_log where rule = $1", [RULE]).fetchone()
    assert rows == (len(NAMES),)
    with lake.read() as con:
        (alert,) = model_alerts(con, NOW, RetrainingPolicy())
        assert model_alerts(con, NOW + timedelta(days=OPEN_DAYS), RetrainingPolicy()) == []
    assert (alert.key, alert.runbook) == ("model/registry", "home-damaged")
    assert "had lost 3 model(s)" in alert.title
    assert "apes, it's @ 2, rolled back." in alert.body
    assert (registry.champions(), registry.aliases()) == (before, aliases)
    assert len(list(home.glob("mlflow.sqlite.damaged-*"))) == (content not in (None, b""))
    with lake.write("roll back") as con:
        assert rollback(con, registry, NAMES[0], "run", "worse").weight == 0.2
    assert promote(lake, registry, NAMES[2], 0.9).version == 4  # 3 was given, and stays


@pytest.mark.slow
def test_a_version_that_no_snapshot_has_keeps_its_number_and_is_not_rolled_back_to(tmp_path: Path) -> None:
    lake, registry = Lake(LakeConfig(tmp_path, memory_limit="500MB"), TABLES), open_registry(tmp_path)
    known = Champion(
        "apes", Tier.POOLED, "prior", None, 0.5, "index", "features", NOW, 1, version=7, previous_version=6
    )
    with lake.write("as after years") as con:
        decision = Decision(NOW, "run", "apes", Action.PROMOTED, "better", "it was", {}, "apes@9", "apes@8")
        record(con, [known], [decision])
        rebuild_lost_models(con, registry, "run", NOW)
    assert registry.champions()["apes"] == replace(known, snapshot_id=1)
    assert registry.aliases() == {"apes": {"champion": 7, "previous": 6}}
    with pytest.raises(RegistryError):
        registry.version("apes", 6, None)
    assert promote(lake, registry, "apes", 0.9).version == 10
