"""Where the documentation is."""

from pathlib import Path

import pytest


@pytest.fixture
def root_of_docs() -> Path:
    return Path(__file__).resolve().parents[4]
