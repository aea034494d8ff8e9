"""A process in which dbt works on the lake has one SQLite library, not two that drop each other's locks (ADR 66)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
from lake.config import LakeConfig
from lake.connection import Lake
from ml.tables.registry import TABLES
from orchestration.marts.trace_columns import compile_models

lake = Lake(LakeConfig(Path(sys.argv[1])), TABLES)
with lake.read():
    compile_models(lake)
maps = Path("/proc/self/maps").read_text().splitlines()
print(*sorted({Path(line.split()[-1]).name for line in maps if line.endswith(".duckdb_extension")}))
print(len({line.split()[-1] for line in maps if line.endswith(".duckdb_extension")}))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="which files a process has loaded is asked of Linux"
)
def test_dbt_and_the_lake_load_the_same_files(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-2:] == ["ducklake.duckdb_extension sqlite_scanner.duckdb_extension", "2"]
