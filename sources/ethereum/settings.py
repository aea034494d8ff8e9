"""What is set for a chain that is read as a source.

Here: the settings and their checks. Not here: the keys of providers, which stay in the environment.
"""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from sources.chains import EVM_CHAINS
from sources.contracts import shared_contract
from sources.protocol import Source, SourceError
from sources.source_settings import SourceConfig


class EthereumConfig(SourceConfig):
    """Watched contracts on an Ethereum chain (`sources.ethereum`).

    Attributes:
        contracts: Addresses of the watched contracts, separated by commas.
        start: First day (ISO 8601) or first block (a number) that is read.
        chain: Name of the chain.
        urls_from: Environment variable with the addresses of nodes, separated by commas. They hold keys, so they are
            not kept here.
        head: Up to where it is read. Blocks after `finalized` can be replaced; their rows are then superseded.
        confirmations: Blocks behind the newest one that count as final where a node knows no `finalized`.
        requests_per_second: Most requests to one node in a second; 0: no limit of ours.
        parallel: Ranges of blocks read at a time.
    """

    kind: Literal["ethereum"] = "ethereum"
    chain: str = "ethereum"  # before the contracts, which are checked for their chain
    contracts: str
    start: str
    urls_from: str = Field("ASSAY_RPC_URLS", pattern=r"^[A-Z][A-Z0-9_]*$")
    head: Literal["finalized", "safe", "latest"] = "finalized"
    confirmations: int = Field(65, ge=0, le=100_000)
    requests_per_second: int = Field(0, ge=0, le=10_000)
    parallel: int = Field(2, ge=1, le=32)

    append_only: ClassVar[bool] = (
        False  # a contract that is watched later has sales on days that were delivered
    )
    home: ClassVar[str] = ".assay-ethereum"
    watches: ClassVar[bool] = True
    grows: ClassVar[tuple[str, ...]] = (
        "contracts",
        "urls_from",
        "head",
        "confirmations",
        "requests_per_second",
        "parallel",
    )

    @property
    def watched(self) -> tuple[str, ...]:
        """The addresses, one by one."""
        return tuple(self.contracts.split(","))

    @field_validator("contracts")
    @classmethod
    def _addresses(cls, value: str, info: ValidationInfo) -> str:
        given = [address.strip().lower() for address in value.split(",") if address.strip()]
        wrong = [a for a in given if not re.fullmatch("0x[0-9a-f]{40}", a)]
        if wrong or not given:
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
        from sources.ethereum.rpc import Rpc
        from sources.ethereum.source import EthereumSource

        urls = [url.strip() for url in os.environ.get(self.urls_from, "").split(",") if url.strip()]
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
        )
