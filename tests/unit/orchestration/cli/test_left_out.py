"""A library that is left out: missing for who asks for it meanwhile, there again afterwards."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from orchestration.cli.left_out import left_out
import pyarrow as pa
with left_out("pandas"):
    assert pa.array([1, None]).null_count == 1
    try:
        import pandas
    except ModuleNotFoundError as error:
        assert error.name == "pandas"
    else:
        raise AssertionError("imported")
    import colorsys
assert pa.table({"a": [1]}).to_pandas()["a"].tolist() == [1]
with left_out("pandas"):
    import pandas
"""


def test_a_library_that_is_left_out_is_missing_only_meanwhile():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
