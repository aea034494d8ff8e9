"""What can be wrong with a folder or a file, as exceptions that say what was expected, what was found, what to do."""

from __future__ import annotations

from sources.protocol import SourceError


class FilesSourceError(SourceError):
    """A directory of files cannot be used as a source."""


class EmptyDirectoryError(FilesSourceError):
    """The directory does not exist or holds no file of a kind that can be read."""


class NothingReadError(FilesSourceError):
    """Not one sale of the directory was accepted."""

    exit_code = 1


class MissingSalesError(NothingReadError):
    """No file of the directory holds sales."""


class MissingColumnError(FilesSourceError):
    """A file lacks a column that its table cannot do without."""


class UnreadableFileError(FilesSourceError):
    """A file is truncated, corrupt or not what its suffix says."""


class MappingError(FilesSourceError):
    """The mapping file of a directory says something that cannot be done."""
