"""What is set for every source, whatever its kind.

Here: the class that each kind of source extends. Not here: the kinds, and lists of them (`sources.configuration`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sources.chains import CHAIN_BY_SPELLING
from sources.protocol import Source


def _known_chain(value: str) -> str:
    spelling = "-".join(value.lower().replace("_", "-").split())
    if value in CHAIN_BY_SPELLING.values():
        return value
    if spelling not in CHAIN_BY_SPELLING:
        raise ValueError(f"expected the name of a chain, such as ethereum, found {value!r}")
    return CHAIN_BY_SPELLING[spelling]


ChainName = Annotated[str, AfterValidator(_known_chain)]
"""A chain that we know, by any of its spellings."""


class SourceConfig(BaseModel, ABC):
    """What every source has.

    Attributes:
        kind: The adapter that reads it.
        name: Its name in the home. It is kept with every row (`delivered_by`).
        priority: 1 is preferred: of several reports of one sale, that of the smallest number counts.
        fresh_within_h: Hours that it may be behind the newest source; None: not judged.
        quarantine_limit: Share of its rows that may be refused; None: as the SLO `quarantine_rate` says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: str
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    priority: int = Field(1, ge=1, le=1000)
    fresh_within_h: float | None = Field(None, gt=0)
    quarantine_limit: float | None = Field(None, ge=0, le=1)

    append_only: ClassVar[bool] = False
    """Whether it never changes a day that it has delivered."""
    home: ClassVar[str] = ".assay"
    """Folder of a home that has this source alone, unless the user names one."""
    grows: ClassVar[tuple[str, ...]] = ()
    """Settings that may change without making it another market."""
    watches: ClassVar[bool] = False
    """Whether it reads the contracts that a user names (its options `contracts` and `start`)."""

    @property
    def options(self) -> dict[str, str | int]:
        """The settings of its kind, as they are kept."""
        own = set(type(self).model_fields) - set(SourceConfig.model_fields)
        return {name: _plain(getattr(self, name)) for name in type(self).model_fields if name in own}

    @property
    def identity(self) -> dict[str, str | int]:
        """What fixes its data: with another identity it is another source."""
        return {name: value for name, value in self.options.items() if name not in self.grows}

    @abstractmethod
    def open(self, cache: Path) -> Source:
        """The source.

        Args:
            cache: Folder for what it may keep between processes.

        Raises:
            SourceError: It cannot be opened.
        """


def _plain(value: object) -> str | int:
    if isinstance(value, Path):
        return str(value.expanduser().resolve())
    return value if isinstance(value, int) else str(value)
