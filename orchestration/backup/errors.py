"""Errors of backups: expected, found, what to do."""

from __future__ import annotations

from orchestration.errors import HomeError


class BackupError(HomeError):
    """A backup cannot be made, read or restored as asked; nothing that was there has changed."""
