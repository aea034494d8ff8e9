"""The repository as these tests see it: its root and the files that are (or are about to be) committed."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def committed() -> Callable[..., list[Path]]:
    """List the repository's own files with one of the given suffixes (all of them without a suffix)."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of committed files")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    files = [ROOT / name for name in listing.split("\0") if name]
    files = [file for file in files if file.is_file()]

    def select(*suffixes: str) -> list[Path]:
        return [file for file in files if not suffixes or file.suffix in suffixes]

    return select
