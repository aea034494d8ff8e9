"""A real node for tests. Where npm's packages are not installed the tests skip with the reason (`.ci/run` installs)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sources.local_chain.node import GENESIS, Node, NodeMissingError, Packages, find_packages, local_node

__all__ = ["GENESIS", "Node", "packages", "running_node"]


def packages() -> Packages:
    """The node's packages; skips where they are not installed."""
    try:
        return find_packages()
    except NodeMissingError as missing:
        pytest.skip(str(missing))


@contextmanager
def running_node(*arguments: str, genesis: int = GENESIS) -> Iterator[Node]:
    """A node of a chain of its own; see `local_node`."""
    with local_node(packages(), *arguments, genesis=genesis) as node:
        yield node
