"""What is set for OpenSea as a source.

Here: the settings. Not here: the key, which stays in the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from sources.protocol import Source
from sources.source_settings import ChainName
from sources.web_api.settings import WebApiConfig, words


class OpenSeaConfig(WebApiConfig):
    """Collections on OpenSea (`sources.opensea`).

    Attributes:
        slugs: Their names as OpenSea writes them in addresses, separated by commas.
        chain: Chain of what names none.
        events: Types of events that are read.
        standing: Whether the listings and offers that stand are read.
        traits: Whether tokens with their traits are read.
        overlap_h: Hours of events that each run reads once more, for what came late.
        settle_s: Seconds behind the present up to which is read: younger blocks may be replaced.
        page_size: Items of a page.
    """

    kind: Literal["opensea"] = "opensea"
    url: str = "https://api.opensea.io"
    key_from: str = Field("OPENSEA_API_KEY", pattern=r"^[A-Z][A-Z0-9_]*$")
    slugs: str
    chain: ChainName = "ethereum"
    events: str = "sale,transfer,order,cancel"
    standing: bool = True
    traits: bool = True
    overlap_h: int = Field(6, ge=0, le=24 * 30)
    settle_s: int = Field(900, ge=0, le=86_400)
    page_size: int = Field(50, ge=1, le=200)

    home: ClassVar[str] = ".assay-opensea"
    grows: ClassVar[tuple[str, ...]] = (
        *WebApiConfig.grows,
        "slugs",
        "events",
        "standing",
        "traits",
        "overlap_h",
        "settle_s",
        "page_size",
    )

    @field_validator("slugs")
    @classmethod
    def _names(cls, value: str) -> str:
        return words(value, "names of collections as in OpenSea's addresses")

    @field_validator("events")
    @classmethod
    def _types(cls, value: str) -> str:
        from sources.opensea.streams import EVENT_TYPES

        given = words(value, "types of events")
        wrong = [word for word in given.split(",") if word not in EVENT_TYPES]
        if wrong:
            raise ValueError(f"expected {', '.join(EVENT_TYPES)}, found {wrong[0]}")
        return given

    def open(self, cache: Path) -> Source:
        """The collections; the API is asked when they are first read."""
        from sources.opensea.decoding import Decoder
        from sources.opensea.streams import streams
        from sources.web_api.source import WebApiSource

        slugs = self.slugs.split(",")
        return WebApiSource(
            self.kind,
            self.client("x-api-key", needs_key=True),
            streams(
                slugs,
                events=self.events.split(","),
                listings=self.standing,
                tokens=self.traits,
                overlap_s=self.overlap_h * 3600,
                page_size=self.page_size,
            ),
            Decoder(slugs, self.chain),
            start=self.start,
            cache=cache / self.kind / self.name,
            chain=self.chain,
            settle_s=self.settle_s,
            left_out=[
                "offers for tokens with some trait, and private listings, are not read: they are neither bids on a "
                "token or a collection nor asks for everybody"
            ],
        )
