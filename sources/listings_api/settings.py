"""What is set for any JSON API of listings as a source.

Here: the settings: where the list is, and which value is where. Not here: the key, which stays in the environment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl

import yaml
from pydantic import Field, field_validator, model_validator

from sources.files.aliases import TABLES
from sources.protocol import Source
from sources.source_settings import ChainName
from sources.web_api.settings import WebApiConfig
from sources.web_api.streams import Stream, Window

ROLES = tuple(TABLES["listings"].aliases)
"""What a value can be: the same roles as in a file of listings."""

_NEEDED = (
    ("collection", "contract"),
    ("event_time",),
    ("side",),
    ("price_raw", "price", "price_native"),
    ("currency", "currency_address"),
)


class ListingsApiConfig(WebApiConfig):
    """A JSON API of listings (`sources.listings_api`).

    Attributes:
        path: Path of the list below the address, with a fixed query if there is one.
        items: Path of the list in an answer; empty: the answer is the list.
        mapping: Role → path in an item, as YAML; a constant is written as `=value`. Kept as text: a configuration never
            changes.
        chain: Chain of items that name none.
        limit: Parameter and size of a page, such as `limit=100`; empty: one page.
        cursor: Parameter of the next page and its path in an answer, such as `next=next`.
        window: Parameters of the first time and the end of a stretch, such as `after=before`; empty: the answer is what
            stands now, and what it no longer has, twice in a row, is cancelled.
        time_unit: How these times are written.
        key_header: Header that the key is sent in.
        overlap_h: Hours that each run reads once more.
        settle_s: Seconds behind the present up to which is read.
    """

    kind: Literal["listings_api"] = "listings_api"
    path: str = Field(pattern=r"^/[^\s#?]*(\?[^\s#]*)?$")
    items: str = ""
    mapping: str
    chain: ChainName = "ethereum"
    limit: str = Field("", pattern=r"^([\w.-]+=\d+)?$")
    cursor: str = Field("", pattern=r"^([\w.-]+=[\w.*|-]+)?$")
    window: str = Field("", pattern=r"^([\w.-]+=[\w.-]+)?$")
    time_unit: Literal["s", "ms", "iso"] = "s"
    key_header: str = Field("x-api-key", pattern=r"^[A-Za-z0-9-]+$")
    overlap_h: int = Field(6, ge=0, le=24 * 30)
    settle_s: int = Field(60, ge=0, le=86_400)

    home: ClassVar[str] = ".assay-listings"
    grows: ClassVar[tuple[str, ...]] = (
        *WebApiConfig.grows,
        "limit",
        "cursor",
        "key_header",
        "overlap_h",
        "settle_s",
    )

    @field_validator("mapping", mode="before")
    @classmethod
    def _mapping_as_text(cls, value: Any) -> str:
        given = yaml.safe_load(value) if isinstance(value, str) else value
        if not isinstance(given, dict) or not all(
            isinstance(text, str) for text in (*given, *given.values())
        ):
            raise ValueError("expected roles and paths, such as {token_id: token.id, side: =ask}")
        wrong = sorted(set(given) - set(ROLES))
        if wrong:
            raise ValueError(f"expected roles ({', '.join(sorted(ROLES))}), found {wrong[0]!r}")
        for needed in _NEEDED:
            if not set(needed) & set(given):
                raise ValueError(f"expected {' or '.join(needed)}, found neither")
        return json.dumps(given, sort_keys=True)

    @property
    def paths(self) -> dict[str, str]:
        """The mapping."""
        return dict(json.loads(self.mapping))

    @model_validator(mode="after")
    def _orders_can_be_compared(self) -> ListingsApiConfig:
        if not self.window and "order_id" not in self.paths:
            raise ValueError(
                "mapping: expected order_id, or a window: a list of what stands is compared by it"
            )
        return self

    def stream(self) -> Stream:
        """What is asked."""
        path, _, query = self.path.partition("?")
        paths = {role: path for role, path in self.paths.items() if not path.startswith("=")}
        named = (
            "order_id",
            "event_kind",
            "contract",
            "collection",
            "token_id",
            "event_time",
            "price_raw",
            "price",
        )
        size = int(self.limit.partition("=")[2] or 0)
        params = dict(parse_qsl(query, keep_blank_values=True))
        window = None
        if self.window:
            first, _, end = self.window.partition("=")
            window = Window(first, end, self.time_unit, overlap_s=self.overlap_h * 3600)
        cursor = self.cursor.partition("=")
        return Stream(
            "listings",
            path,
            items=self.items,
            key=(paths["order_id"],) if window is None else tuple(paths[r] for r in named if r in paths),
            used=tuple(paths.values()) if window is not None else (paths["order_id"],),
            params={**params, **dict([self.limit.split("=")] if self.limit else [])},
            cursor=(cursor[0], cursor[2]) if self.cursor else None,
            page_size=size,
            window=window,
            time=paths.get("event_time", ""),
            ends=paths.get("valid_until", ""),
            links={"order": paths["order_id"]} if "order_id" in paths else {},
        )

    def open(self, cache: Path) -> Source:
        """The list; the API is asked when it is first read."""
        from sources.listings_api.decoding import Decoder
        from sources.web_api.source import WebApiSource

        return WebApiSource(
            self.kind,
            self.client(self.key_header, needs_key=bool(self.key_from)),
            [self.stream()],
            Decoder(self.paths, self.chain),
            start=self.start,
            cache=cache / self.kind / self.name,
            chain=self.chain,
            settle_s=self.settle_s,
        )
