"""A process that answers one question: what it does without, because it costs more than the answer.

Here: a library that is not imported although it is installed, threads that would have nothing to do, and an end without
tidying up memory. Not here: which commands are light (`orchestration.cli.catalogue`).

Concept: PyArrow and DuckDB import pandas where it is installed, to recognise its frames, and do without it where it is
not: 0.4 s of CPU. OpenBLAS starts a thread for each core, which waits busily: 0.1 s. Python frees every object and
module before it ends: 0.2 to 0.5 s, for memory that the system takes back anyway.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.abc import MetaPathFinder
from typing import NoReturn

BLAS_THREADS = "OPENBLAS_NUM_THREADS"


class _Missing(MetaPathFinder):
    """Says of one library that it is not installed."""

    def __init__(self, library: str) -> None:
        self.library = library

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> None:  # noqa: ARG002
        """Refuse the library; other finders look for everything else."""
        if fullname == self.library:
            raise ModuleNotFoundError(f"{fullname} is left out of this command", name=fullname)


@contextmanager
def left_out(library: str) -> Iterator[None]:
    """The library cannot be imported meanwhile; nothing changes where it was imported before.

    Raises:
        ModuleNotFoundError: Where it is imported without a way to do without it.
    """
    missing = _Missing(library)
    sys.meta_path.insert(0, missing)
    try:
        yield
    finally:
        sys.meta_path.remove(missing)


@contextmanager
def light_process(with_pandas: bool = False) -> Iterator[None]:
    """Do without what a question does not need.

    Args:
        with_pandas: Whether pandas is needed: CatBoost cannot be imported without it.
    """
    chosen = os.environ.get(BLAS_THREADS)
    os.environ.setdefault(BLAS_THREADS, "1")
    try:
        with ExitStack() as meanwhile:
            if not with_pandas:
                meanwhile.enter_context(left_out("pandas"))
            yield
    finally:
        if chosen is None:
            os.environ.pop(BLAS_THREADS, None)


def end_at_once(code: int) -> NoReturn:
    """End this process as an exit would, but for freeing memory: what is registered for the end is done."""
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # whoever reads has seen enough, as `head` does
    except OSError as error:
        print(f"assay: the output cannot be written: {error.strerror}", file=sys.stderr)
        code = code or 1
    sys.stderr.flush()
    os._exit(code)
