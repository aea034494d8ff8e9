"""Errors of opening or changing the lake; every message names what was expected, what was found and what to do."""

from __future__ import annotations


class LakeError(RuntimeError):
    """Any failure of the lake itself, as opposed to a failure of the SQL sent to it."""


class ExtensionUnavailableError(LakeError):
    """A DuckDB extension could be loaded neither from its wheel nor by INSTALL."""


class LakeLockedError(LakeError):
    """Another process held the write lock longer than the configured timeout."""


class UnknownSnapshotError(LakeError):
    """A snapshot was asked for that does not exist or has been expired."""


class CatalogUrlError(LakeError, ValueError):
    """The catalog address is of a kind this lake cannot open."""


class CatalogLostError(LakeError):
    """The catalog is damaged or gone; the message names the way back."""


class LakeVersionError(LakeError):
    """The lake was written by another version and cannot be migrated to this one."""


class DataPathError(LakeError):
    """The folder of the lake's files is another lake's, lacks the files the catalog names, or cannot be marked."""


class FilesUnreachableError(LakeError):
    """An object store does not answer, or not as asked: its files may be there and whole."""


class UnsafeCleanupError(LakeError):
    """DuckLake would delete a file that a snapshot still names."""


class DiffError(LakeError):
    """Two relations cannot be compared: a key or a type is missing on one side."""


class QuestionError(LakeError):
    """A question in SQL is not one that only selects, or cannot be answered."""
