"""`assay` as a user types it, in this process: a new one spends 4 s on imports before it does anything.

Here: arguments, environment, what was printed and the exit code. A test whose subject is the process itself (killed,
two at once, its arguments in the list of processes) starts one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestration.cli.app import run_command_line
from orchestration.marts.dbt_runner import environment


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def assay(*arguments: str, **variables: str) -> Done:
    """Run a command to its end.

    Args:
        arguments: What follows `assay`.
        variables: Environment variables, in addition to those that are set.
    """
    with TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        with environment(variables), _printing_to(1, "stdout", out), _printing_to(2, "stderr", err):
            before, sys.argv = sys.argv, ["assay", *arguments]
            try:
                run_command_line()
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
            finally:
                sys.argv = before
        return Done(code, out.read_text(), err.read_text())


def modules_of(program: str, *arguments: str) -> set[str]:
    """Names of the modules that a new process has loaded after a program."""
    program += "\nimport sys; print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


@contextmanager
def _printing_to(descriptor: int, name: str, file: Path) -> Iterator[None]:
    """Let the process write to a file what it prints, also what libraries write past Python."""
    stream = getattr(sys, name)
    stream.flush()
    kept = os.dup(descriptor)
    with file.open("w") as target:
        os.dup2(target.fileno(), descriptor)
    # A logger may keep this stream: it stays usable, and holds no file open.
    replaced = os.fdopen(descriptor, "w", closefd=False)
    setattr(sys, name, replaced)
    try:
        yield
    finally:
        replaced.flush()
        setattr(sys, name, stream)
        os.dup2(kept, descriptor)
        os.close(kept)
