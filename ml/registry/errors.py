"""What the registry refuses. Light to import: the command line catches it."""

from __future__ import annotations


class NothingToRollBackError(LookupError):
    """A rollback was asked for where there is no previous version."""


class RegistryError(RuntimeError):
    """The registry refused or could not answer about one collection; the others are not concerned."""
