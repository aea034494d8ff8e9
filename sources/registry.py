"""The sources by name: the one place that knows which adapters exist."""

from __future__ import annotations

from typing import Any

from sources.protocol import Source, SourceError

SOURCE_NAMES = ("simulator", "files")


class UnknownSourceError(SourceError):
    """A source was asked for that does not exist."""


def open_source(name: str, **options: Any) -> Source:
    """Open a source.

    Args:
        name: One of `SOURCE_NAMES`.
        **options: `files`: directory, and what `FilesSource` takes. `simulator`: fields of `SimulatorConfig`
            (faults also as text, e.g. `["crash@300", "outage@200:3"]`) and `cache_dir`.

    Raises:
        UnknownSourceError: If there is no such source.
        SourceError: If the source cannot be opened with these options.
    """
    # Imported here: a run on files must not pay for the simulator, nor the other way round.
    if name == "files":
        from sources.files.source import FilesSource

        return FilesSource(**options)
    if name == "simulator":
        from sources.simulator.source import open_simulator

        return open_simulator(**options)
    raise UnknownSourceError(f"expected a source ({', '.join(SOURCE_NAMES)}), found {name!r}")
