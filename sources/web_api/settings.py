"""What is set for every source that is a paged API.

Here: its address, the name of the variable with its key, its limits. Not here: the key, which stays in the environment.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from sources.protocol import SourceError
from sources.source_settings import SourceConfig
from sources.web_api.addresses import host_of

if TYPE_CHECKING:
    from sources.web_api.client import ApiClient

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


class WebApiConfig(SourceConfig):
    """A paged API.

    Attributes:
        url: Address that all paths are below.
        start: First day (ISO 8601) that is read.
        key_from: Environment variable with the key of the API. It is not kept here.
        requests_per_second: Most requests in a second; 0: no limit of ours.
        timeout_s: Seconds for one whole answer.
    """

    url: str
    start: str
    key_from: str = Field("", pattern=r"^([A-Z][A-Z0-9_]*)?$")
    requests_per_second: float = Field(2, ge=0, le=1000)
    timeout_s: float = Field(30, gt=0, le=600)

    append_only: ClassVar[bool] = False  # what came late, and collections that are added, change old days
    grows: ClassVar[tuple[str, ...]] = ("url", "key_from", "requests_per_second", "timeout_s")

    @field_validator("url")
    @classmethod
    def _url_is_safe(cls, value: str) -> str:
        if host_of(value) is None or "@" in value or "?" in value:
            raise ValueError("expected https:// and a host, without a key in it")
        if not value.startswith("https:") and urlsplit(value).hostname not in _THIS_MACHINE:
            raise ValueError("expected https://, because a key is sent (http:// is for this machine only)")
        return value.rstrip("/")

    @field_validator("key_from")
    @classmethod
    def _key_is_no_setting(cls, value: str) -> str:
        if value.startswith("ASSAY_"):
            raise ValueError("expected a name that does not begin with ASSAY_, as Assay's own settings do")
        return value

    @field_validator("start", mode="before")
    @classmethod
    def _start_is_a_day(cls, value: object) -> str:
        try:
            return date.fromisoformat(str(value)).isoformat()
        except ValueError:
            raise ValueError("expected a day such as 2024-01-31") from None

    def client(self, header: str, *, needs_key: bool = False) -> ApiClient:
        """The API, with its key in a header if there is one.

        Raises:
            SourceError: The key is missing, or can be none.
        """
        # Imported here: settings are read by commands that ask no API.
        from sources.web_api.client import ApiClient, key_from

        key = key_from(self.key_from) if self.key_from else None
        if key is None and needs_key:
            raise SourceError(
                f"{self.name}: expected the key of {host_of(self.url)} in the environment variable {self.key_from} "
                "(docs/how-to/marketplaces-and-rates.md), found none"
            )
        headers: dict[str, SecretStr] = {header: key} if key is not None and header else {}
        return ApiClient(
            self.url,
            headers=headers,
            requests_per_second=self.requests_per_second,
            timeout_s=self.timeout_s,
        )


def words(value: str, what: str) -> str:
    """A list of words separated by commas, each once.

    Raises:
        ValueError: It is empty.
    """
    given = [word.strip() for word in value.split(",") if word.strip()]
    if not given:
        raise ValueError(f"expected {what}, separated by commas, found none")
    return ",".join(dict.fromkeys(given))
