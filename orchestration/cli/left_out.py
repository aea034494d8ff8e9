"""Libraries that a command's process does not import, although others would if they could.

Concept: PyArrow and DuckDB import pandas where it is installed, to recognise its frames, and do without it where it is
not. A command that only reads has no frames: it saves 0.4 s of CPU, a fifth of what it may take. CatBoost cannot do
without it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder


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
