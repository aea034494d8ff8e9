"""Where the real market data are: the one place for benchmarks and tests.

Here: the folders. Not here: what is done without them (a test is skipped: `tests.homes.real_bundle`).
"""

from __future__ import annotations

import os
from pathlib import Path

SHARED = Path(os.environ.get("ASSAY_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
"""Folder of all shared data; the default is next to the repository."""

BUNDLE = SHARED / "nft"
"""Sales, transfers, listings, traits and rates of real collections."""

CASES = SHARED / "cases"
"""Small folders of files as people have them, each with what is expected of it."""
