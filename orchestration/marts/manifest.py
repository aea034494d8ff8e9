"""The parsed dbt project: prepared once by `assay prepare`, read by the code location and by every build.

Here: when it is parsed. Not here: running it (`orchestration.marts.dbt_runner`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_dbt import DbtProject
from filelock import FileLock

from orchestration.marts.dbt_runner import Event, invoke_dbt, load_manifest
from orchestration.resources import DBT_PROJECT

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

_TARGET = DBT_PROJECT / "target"
_MANIFEST, _PARTIAL_PARSE = _TARGET / "manifest.json", _TARGET / "partial_parse.msgpack"
_SOURCES = ("models", "macros", "tests", "seeds")


def dbt_project() -> DbtProject:
    """The dbt project; parsed here only if it was not since it changed."""
    if not is_current():
        prepare_manifest()
    return DbtProject(project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT, target_path=Path("target"))


def prepared_manifest() -> Manifest:
    """The parsed project for one invocation of dbt, which changes it."""
    if not is_current():
        prepare_manifest()
    return load_manifest(_PARTIAL_PARSE)


def shared_text() -> dict[str, str]:
    """The variable that tells dbt the hash of what all models share: macros and settings of the project."""
    files = [DBT_PROJECT / "dbt_project.yml", *sorted((DBT_PROJECT / "macros").rglob("*.sql"))]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
    return {"ASSAY_DBT_SHARED": digest[:16]}


def is_current(project: Path = DBT_PROJECT) -> bool:
    """Whether the parsed project is there, of the installed dbt, and younger than every file of the project."""
    from importlib.metadata import version

    manifest, partial_parse = (project / "target" / path.name for path in (_MANIFEST, _PARTIAL_PARSE))
    if not (manifest.exists() and partial_parse.exists()):
        return False
    with manifest.open() as file:
        if f'"dbt_version": "{version("dbt-core")}"' not in file.read(500):
            return False
    parsed = min(manifest.stat().st_mtime, partial_parse.stat().st_mtime)
    # Folders too: a file that was removed is seen by the folder's time.
    files = [path for folder in _SOURCES for path in (project / folder).rglob("*")]
    return all(path.stat().st_mtime <= parsed for path in [project / "dbt_project.yml", *files])


def prepare_manifest() -> Path:
    """Parse the dbt project (4–6 s), so that neither the code location nor a build has to.

    Raises:
        RuntimeError: If the project does not parse.
    """
    errors: list[str] = []

    def receive(event: Event) -> None:
        if event.info.level == "error":
            errors.append(event.info.msg)

    where = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    target = ["--target-path", str(_TARGET), "--log-path", str(DBT_PROJECT / "logs")]
    quiet = ["--log-level", "none", "--no-send-anonymous-usage-stats"]
    _TARGET.mkdir(parents=True, exist_ok=True)
    with FileLock(_TARGET / ".parsing.lock"):
        outcome = invoke_dbt(["parse", *where, *target, *quiet], receive=receive)
    if not outcome.success:
        found = "\n".join([*errors, str(outcome.exception or "")])
        raise RuntimeError(f"dbt parse failed; expected a project that parses, found:\n{found}")
    # dbt writes only what differs from the last time.
    for path in (_MANIFEST, _PARTIAL_PARSE):
        path.touch()
    return _MANIFEST
