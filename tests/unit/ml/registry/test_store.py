"""The registry's SQLite file: a killed start leaves nothing that the next one stumbles over."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ml.registry.artifacts import ArtifactStore
from ml.registry.champions import ChampionRegistry

# Ends without any cleanup at the n-th statement that touches a table which a migration is copying.
ENDS_ABRUPTLY = """
import os, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from ml.registry import store

left = int(sys.argv[2])

@event.listens_for(Engine, "after_cursor_execute")
def count(connection, cursor, statement, *rest):
    global left
    if "_alembic_tmp" in statement:
        left -= 1
        if left == 0:
            os._exit(9)

store.prepare(sys.argv[1])
"""


@pytest.mark.parametrize("statement", [1, 4, 30])
def test_a_start_killed_between_migrations_leaves_no_half_made_store(tmp_path, statement):
    url = f"sqlite:///{tmp_path}/mlflow.sqlite"
    ended = subprocess.run([sys.executable, "-c", ENDS_ABRUPTLY, url, str(statement)], check=False)
    assert ended.returncode == 9
    assert not (tmp_path / "mlflow.sqlite").exists()
    assert ChampionRegistry(url, ArtifactStore(tmp_path / "artifacts")).champions() == {}


def test_two_starts_at_once_share_one_store(tmp_path):
    url = f"sqlite:///{tmp_path}/mlflow.sqlite"
    registers = (
        "import os, sys; from ml.registry.champions import ChampionRegistry; "
        "ChampionRegistry(sys.argv[1], None).client.create_registered_model(sys.argv[2])"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", registers, url, name]) for name in ("assay.a", "assay.b")
    ]
    assert [process.wait() for process in started] == [0, 0]
    client = ChampionRegistry(url, ArtifactStore(tmp_path / "artifacts")).client
    assert {model.name for model in client.search_registered_models()} == {"assay.a", "assay.b"}
    assert not list(tmp_path.glob(".mlflow*"))
