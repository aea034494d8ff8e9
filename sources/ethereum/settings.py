"""What is set for a chain that is read as a source.

Here: the settings and their checks. Not here: the keys of providers, which stay in the environment.
"""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from sources.chains import EVM_CHAINS
from sources.contracts import shared_contract
from sources.protocol import Source, SourceError
from sources.source_settings import ChainName, SourceConfig

if TYPE_CHECKING:
    from sources.ethereum.metadata.reading import MetadataOptions


class EthereumConfig(SourceConfig):
    """Watched contracts on an Ethereum chain (`sources.ethereum`).

    Attributes:
        most_traded: How many of the contracts with most sales are watched, too; 0: none.
        most_traded_days: Whole days before today whose sales are counted for it.
        contracts: Addresses of the watched contracts, separated by commas.
        start: First day (ISO 8601) or first block (a number) that is read.
        chain: Name of the chain.
        urls_from: Environment variable with the addresses of nodes, separated by commas. They hold keys, so they are
            not kept here.
        head: Up to where it is read. Blocks after `finalized` can be replaced; their rows are then superseded.
        confirmations: Blocks behind the newest one that count as final where a node knows no `finalized`.
        requests_per_second: Most requests to one node in a second; 0: no limit of ours.
        parallel: Ranges of blocks read at a time.
        rates: Whether Chainlink's price feeds are read.
        metadata: Whether tokens are asked for their metadata.
        ipfs_gateways: Servers for ipfs:// addresses, separated by commas, the preferred first.
        arweave_gateways: Servers for ar:// addresses.
        metadata_hosts: Hosts (`host` or `host:port`) that may have a private address, such as a gateway of one's own.
        metadata_timeout_s: Seconds for one document of one server.
    """

    kind: Literal["ethereum"] = "ethereum"
    chain: ChainName = "ethereum"  # before the contracts, which are checked for their chain
    most_traded: int = Field(0, ge=0, le=10_000)  # before the contracts, of which there may then be none
    most_traded_days: int = Field(7, ge=1, le=365)
    contracts: str
    start: str
    urls_from: str = Field("ASSAY_RPC_URLS", pattern=r"^[A-Z][A-Z0-9_]*$")
    head: Literal["finalized", "safe", "latest"] = "finalized"
    confirmations: int = Field(65, ge=0, le=100_000)
    requests_per_second: int = Field(0, ge=0, le=10_000)
    parallel: int = Field(2, ge=1, le=32)
    rates: bool = True
    metadata: bool = True
    ipfs_gateways: str = "https://ipfs.io,https://dweb.link"
    arweave_gateways: str = "https://arweave.net"
    metadata_hosts: str = ""
    metadata_timeout_s: int = Field(20, ge=1, le=600)

    append_only: ClassVar[bool] = (
        False  # a contract that is watched later has sales on days that were delivered
    )
    home: ClassVar[str] = ".assay-ethereum"
    watches: ClassVar[bool] = True
    grows: ClassVar[tuple[str, ...]] = (
        "contracts",
        "most_traded",
        "most_traded_days",
        "urls_from",
        "head",
        "confirmations",
        "requests_per_second",
        "parallel",
        "rates",
        "metadata",
        "ipfs_gateways",
        "arweave_gateways",
        "metadata_hosts",
        "metadata_timeout_s",
    )

    @property
    def watched(self) -> tuple[str, ...]:
        """The addresses, one by one."""
        return tuple(_listed(self.contracts))

    @model_validator(mode="before")
    @classmethod
    def _most_traded_alone(cls, given: object) -> object:
        """Without the most traded, the contracts must be given."""
        if isinstance(given, dict) and given.get("most_traded"):
            return {"contracts": "", **given}
        return given

    @field_validator("contracts")
    @classmethod
    def _addresses(cls, value: str, info: ValidationInfo) -> str:
        given = [address.lower() for address in _listed(value)]
        wrong = [a for a in given if not re.fullmatch("0x[0-9a-f]{40}", a)]
        if wrong or not (given or info.data.get("most_traded")):
            raise ValueError(
                f"expected addresses of contracts (0x and 40 hex digits), found {wrong[0] if wrong else 'none'}"
            )
        for address in given:
            shared = shared_contract(info.data.get("chain", ""), address)
            if shared is not None and shared.by == "name":
                raise ValueError(
                    f"{address} ({shared.label}) keeps collections that only their names tell apart, and logs have no "
                    "names: leave it out"
                )
        return ",".join(dict.fromkeys(given))

    @field_validator("ipfs_gateways", "arweave_gateways")
    @classmethod
    def _gateways_are_addresses(cls, value: str) -> str:
        given = [one.rstrip("/") for one in _listed(value)]
        wrong = [one for one in given if not re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", one)]
        if wrong:
            raise ValueError(f"expected addresses that begin with https:// or http://, found {wrong[0]}")
        return ",".join(given)

    @field_validator("metadata_hosts")
    @classmethod
    def _hosts_are_names(cls, value: str) -> str:
        given = [one.lower() for one in _listed(value)]
        wrong = [one for one in given if not re.fullmatch(r"[a-z0-9._-]+(:\d{1,5})?", one)]
        if wrong:
            raise ValueError(f"expected host or host:port, found {wrong[0]}")
        return ",".join(given)

    @field_validator("start", mode="before")
    @classmethod
    def _start_is_a_day_or_a_block(cls, value: object) -> str:
        text = str(value)
        if not text.isdigit():
            try:
                return date.fromisoformat(text).isoformat()
            except ValueError:
                raise ValueError("expected a day such as 2024-01-31, or the number of a block") from None
        return text

    @field_validator("chain")
    @classmethod
    def _chain_is_known(cls, value: str) -> str:
        if value not in EVM_CHAINS:
            raise ValueError(f"expected one of {', '.join(EVM_CHAINS)}")
        return value

    def open(self, cache: Path) -> Source:
        """The chain; its nodes are asked when it is first read."""
        from sources.ethereum.decoders.chainlink import FEEDS
        from sources.ethereum.rpc import Rpc
        from sources.ethereum.source import EthereumSource

        urls = _listed(os.environ.get(self.urls_from, ""))
        if not urls:
            raise SourceError(
                f"{self.name}: expected addresses of Ethereum nodes in the environment variable {self.urls_from} "
                "(docs/how-to/ethereum.md), found none"
            )
        return EthereumSource(
            Rpc(urls, requests_per_second=self.requests_per_second),
            self.watched,
            start=self.start,
            cache=cache / self.kind / self.name,
            chain=self.chain,
            head=self.head,
            confirmations=self.confirmations,
            parallel=self.parallel,
            metadata=self._metadata_options() if self.metadata else None,
            most_traded=(self.most_traded, self.most_traded_days) if self.most_traded else None,
            feeds=FEEDS.get(self.chain) if self.rates else None,
        )

    def _metadata_options(self) -> MetadataOptions:
        from sources.ethereum.metadata.locations import Gateways
        from sources.ethereum.metadata.reading import MetadataOptions

        gateways = Gateways(tuple(_listed(self.ipfs_gateways)), tuple(_listed(self.arweave_gateways)))
        return MetadataOptions(gateways, tuple(_listed(self.metadata_hosts)), self.metadata_timeout_s)


def _listed(value: str) -> list[str]:
    return [one.strip() for one in value.split(",") if one.strip()]
