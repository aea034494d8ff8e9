"""A light process: what it does without is there again afterwards, and its end loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

from orchestration.cli.light_process import BLAS_THREADS, light_process

PROGRAM = """
from orchestration.cli.light_process import left_out
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


ENDING = """
import atexit, sys
from orchestration.cli.light_process import end_at_once
atexit.register(print, "done at the end")
print("x" * 100_000)
print("said on the other", file=sys.stderr)
end_at_once(3)
"""


def test_an_end_at_once_flushes_runs_what_is_registered_and_keeps_the_code():
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stdout == "x" * 100_000 + "\ndone at the end\n"
    assert done.stderr == "said on the other\n"


def test_threads_of_a_light_process_are_a_setting_of_the_user_first(monkeypatch):
    monkeypatch.delenv(BLAS_THREADS, raising=False)
    with light_process():
        assert os.environ[BLAS_THREADS] == "1"
    assert BLAS_THREADS not in os.environ
    monkeypatch.setenv(BLAS_THREADS, "7")
    with light_process():
        assert os.environ[BLAS_THREADS] == "7"
    assert os.environ[BLAS_THREADS] == "7"


def test_an_output_that_cannot_be_written_is_an_error_and_a_reader_that_left_is_none():
    program = ENDING.replace("end_at_once(3)", "end_at_once(0)").replace("100_000", "100")
    # What is printed waits for the end, as it does for users.
    waiting = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}

    def run(output: int | IO[str]) -> tuple[int, str]:
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, env=waiting)
        return done.returncode, done.stderr.splitlines()[-1]

    with Path("/dev/full").open("w") as full:
        assert run(full) == (1, "assay: the output cannot be written: No space left on device")
    reads, writes = os.pipe()
    os.close(reads)
    assert run(writes) == (0, "said on the other")
    os.close(writes)
