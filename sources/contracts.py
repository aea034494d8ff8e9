"""Contracts whose address alone does not name a collection, as data.

Here: contracts that keep many collections, and contracts that stand for another one. Not here: how a row finds its
collection (`sources.files.identity`). A user adds contracts in the mapping file (docs/how-to/own-files.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class SharedContract:
    """One contract that keeps many collections.

    Attributes:
        chain: Chain of the contract.
        address: Address, lower case.
        label: Prefix of a project's collection key when it has no name of its own.
        by: What distinguishes the collections: `project` = token_id // `size`; `name` = the name a row gives.
        size: Token ids of one project (`by="project"`).
    """

    chain: str
    address: str
    label: str
    by: Literal["project", "name"] = "project"
    size: int = 1_000_000


SHARED_CONTRACTS: tuple[SharedContract, ...] = (
    # project = token_id // 1,000,000 (docs.artblocks.io); the first is the contract of projects 0 to 2.
    SharedContract("ethereum", "0x059edd72cd353df5106d2b9cc5ab83a52287ac3a", "artblocks"),
    SharedContract("ethereum", "0xa7d8d9ef8d8ce8992df33d8b8cf4aebabd5bd270", "artblocks"),
    SharedContract("ethereum", "0x99a9b7c1116f9ceeb1652de04d5969cce509b069", "artblocks"),
    # Shops in which anybody mints: only the name says which collection a token belongs to.
    SharedContract("ethereum", "0x495f947276749ce646f68ac8c248420045cb7b5e", "opensea-shared", by="name"),
    SharedContract("polygon", "0x2953399124f0cbb46d2cbacd8a89cf0599974963", "opensea-shared", by="name"),
    SharedContract("ethereum", "0xd07dc4262bcdbf85190c01c996b4c06a461d2430", "rarible-1155", by="name"),
    SharedContract("ethereum", "0x60f80121c31a0d46b5279700f9df786054aa5ee5", "rarible-721", by="name"),
)


def shared_contract(chain: str, address: str) -> SharedContract | None:
    """The shared contract at an address (lower case); None for a contract with one collection."""
    return next((c for c in SHARED_CONTRACTS if (c.chain, c.address) == (chain, address)), None)


def collection_of(chain: str, contract: str, token_id: int, name: str | None = None) -> str:
    """The key of a token's collection: its contract, or its project where a contract keeps many projects.

    Args:
        chain: Chain of the contract.
        contract: Address, lower case.
        token_id: The token.
        name: What its collection is called, for contracts in which only names tell collections apart.
    """
    shared = shared_contract(chain, contract)
    if shared is None:
        return contract
    if shared.by == "name":
        return name or contract
    return f"{shared.label}-{token_id // shared.size}"


SAME_AS: dict[tuple[str, str], str] = {
    # Wrapped Cryptopunks hold one punk each, under the same number.
    ("ethereum", "0xb7f7f6c52f2e2fdb1963eab30438024864c313f6"): "0xb47e3cd837ddf8e4c57f05d70ab865de6e193bbb",
}
"""(chain, address) of a wrapper → the contract whose tokens it holds under the same ids."""


def shared_contracts_table(contracts: Iterable[SharedContract]) -> pa.Table:
    """One row per contract: `chain`, `contract`, `shared_label`, `distinguished_by`, `size`.

    Args:
        contracts: If a contract comes more than once, the first one counts.
    """
    import pyarrow as pa

    unique = {(c.chain, c.address): c for c in reversed(tuple(contracts))}.values()
    return pa.table(
        {
            "chain": pa.array([c.chain for c in unique], pa.string()),
            "contract": pa.array([c.address for c in unique], pa.string()),
            "shared_label": pa.array([c.label for c in unique], pa.string()),
            "distinguished_by": pa.array([c.by for c in unique], pa.string()),
            "size": pa.array([c.size for c in unique], pa.int64()),
        }
    )


def wrappers_table() -> pa.Table:
    """One row per wrapper: `chain`, `contract`, and the contract whose tokens it `holds`."""
    import pyarrow as pa

    return pa.table(
        {
            "chain": pa.array([chain for chain, _ in SAME_AS], pa.string()),
            "contract": pa.array([wrapper for _, wrapper in SAME_AS], pa.string()),
            "holds": pa.array(list(SAME_AS.values()), pa.string()),
        }
    )
