"""What is committed can be installed anywhere and contains nothing about the machine it was written on."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|Users|home/\w|tmp/\w)[\w./-]*")
# These lines show a path on the reader's machine, not one on ours.
EXAMPLE_PATH = re.compile(r"/(?:home|Users)/(?:me|you|user)\b")
REGISTRY_HOST = re.compile(r"(?:pypi|npmjs|pythonhosted|debian)\.(?:org|com|net)", re.IGNORECASE)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_committed_file_names_this_machine_or_a_registry(
    root: Path, committed: Callable[..., list[Path]]
) -> None:
    found = [
        f"{file.relative_to(root)}:{number}: {match.group()}"
        for file in committed()
        for number, line in enumerate(_text(file).splitlines(), start=1)
        for match in (*MACHINE_PATH.finditer(line), *REGISTRY_HOST.finditer(line))
        if not EXAMPLE_PATH.match(match.group())
    ]
    assert not found, "use a path relative to the repository, tmp_path or a setting:\n" + "\n".join(found)


@pytest.fixture(scope="module")
def lock(root: Path) -> str:
    return (root / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def locked(lock: str) -> dict[str, list[tuple[Requirement, int]]]:
    """Every locked requirement with its number of hashes, by name (markers may give a name twice)."""
    pinned: dict[str, list[tuple[Requirement, int]]] = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^#.*\n", "", lock)):
        if entry.strip():
            requirement = Requirement(entry.split("\\")[0].split("#")[0].strip())
            pinned.setdefault(canonicalize_name(requirement.name), []).append(
                (requirement, entry.count("--hash=sha256:"))
            )
    return pinned


def test_the_lock_pins_every_package_by_hash(locked: dict[str, list[tuple[Requirement, int]]]) -> None:
    loose = [
        str(requirement)
        for entries in locked.values()
        for requirement, hashes in entries
        if hashes == 0 or [s.operator for s in requirement.specifier] != ["=="]
    ]
    assert len(locked) > 100
    assert not loose, f"run `make lock`; not pinned by version and hash: {loose}"


def test_the_lock_records_no_download_address(lock: str) -> None:
    addresses = [line for line in lock.splitlines() if "://" in line or "index-url" in line or " @ " in line]
    assert not addresses, (
        f"run `make lock`; the lock must not contain where a file came from: {addresses[:5]}"
    )


def test_the_lock_satisfies_the_project(root: Path, locked: dict[str, list[tuple[Requirement, int]]]) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
    ]
    unmet = []
    for text in wanted:
        requirement = Requirement(text)
        versions = [
            next(iter(entry.specifier)).version
            for entry, _ in locked.get(canonicalize_name(requirement.name), [])
        ]
        if not versions or not all(requirement.specifier.contains(v, prereleases=True) for v in versions):
            unmet.append(f"{text} (locked: {versions or 'nothing'})")
    assert not unmet, f"run `make lock`; pyproject.toml asks for what the lock does not have: {unmet}"
