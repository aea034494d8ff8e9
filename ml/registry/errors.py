"""What the registry refuses. Light to import: the command line catches it."""

from __future__ import annotations


class NothingToRollBackError(LookupError):
    """A rollback was asked for where there is no previous version."""
