"""The sources of one home together.

Here: opening them, and what they cover as a whole. Not here: what is set for each (`sources.configuration`), writing
their rows (`orchestration.ingestion`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sources.configuration import SourceConfig
from sources.protocol import ReportingSource, Source, SourceError


@dataclass(frozen=True)
class ConfiguredSource:
    """A source with what is set for it."""

    config: SourceConfig
    source: Source


class Sources:
    """All sources of a home; one that cannot be read does not stop the others.

    Attributes:
        configs: What is set for each.
        readable: Those that could be read.
        problems: Name → why it could not be read.
    """

    def __init__(self, configs: Sequence[SourceConfig], cache: Path) -> None:
        """Open each source.

        Raises:
            SourceError: None of them can be read; the message of the first.
        """
        self.configs = tuple(configs)
        readable: list[ConfiguredSource] = []
        errors: dict[str, SourceError] = {}
        for config in self.configs:
            try:
                source = config.open(cache)
                source.watermark()
                readable.append(ConfiguredSource(config, source))
            except SourceError as error:
                errors[config.name] = error
        if not readable:
            raise next(iter(errors.values()))
        self.readable = tuple(readable)
        self.problems = {name: str(error) for name, error in errors.items()}

    def watermark(self) -> datetime:
        """Before this time something can be read: the latest of the sources' watermarks (UTC, naive)."""
        return max(one.source.watermark() for one in self.readable)

    def first_known(self) -> datetime:
        """No row of any source is known before this time (UTC, naive)."""
        return min(one.source.first_known() for one in self.readable)

    def left_out(self) -> list[str]:
        """Lines for people, each naming once what was not used and why."""
        lines = [f"source {name}: {problem}" for name, problem in self.problems.items()]
        for one in self.readable:
            if isinstance(one.source, ReportingSource):
                prefix = f"{one.config.name}: " if len(self.configs) > 1 else ""
                lines += [prefix + line for line in one.source.left_out()]
        return lines
