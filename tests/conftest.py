"""What all tests share."""

import gc
import os

from hypothesis import settings

# Dagster, dbt and two thousand collected tests are a large heap that hardly shrinks: Python's collector went through
# it again and again, for 3 of the 14 seconds in which a worker collects the tests, and after that.
gc.set_threshold(50_000, 20, 50)

# No test asserts a time: a busy machine must not fail one.
settings.register_profile("assay", deadline=None)
settings.load_profile("assay")


def pytest_sessionstart():
    """What is printed is as wide as for a user without a terminal: a worker of xdist inherits the width of its own."""
    os.environ.pop("COLUMNS", None)
