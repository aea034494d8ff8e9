"""What a contract calls itself, and the collections that watched contracts are.

Here: asking a contract for its name, once. The text is anybody's choice: it is cut, and no key.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from sources.contract import COLLECTIONS
from sources.contracts import shared_contract
from sources.ethereum.decoders.abi import decoder
from sources.ethereum.log import UndecodableLogError
from sources.ethereum.rows import SOURCE
from sources.ethereum.rpc import AnswerError, Rpc
from sources.ethereum.store import Store

_NAME = "0x06fdde03"
_LONGEST = 200
_text = decoder(("string",))


def contract_name(rpc: Rpc, store: Store, contract: str) -> str | None:
    """The name of a contract, as it answers `name()`; None when it has none.

    Raises:
        NodeUnavailableError: No node answers.
    """
    note = f"name of {contract}"
    held = store.note(note)
    if held is None:
        held = _asked(rpc, contract)
        store.keep_note(note, held)
    return held or None


def collection_rows(
    rpc: Rpc, store: Store, chain: str, contracts: Sequence[str], known_at: datetime
) -> pa.Table:
    """Rows of `raw.collections`: one for each watched contract with one collection.

    A shared contract is no collection: its projects are known by their sales.

    Raises:
        NodeUnavailableError: No node answers.
    """
    rows = [
        {
            "chain": chain,
            "collection": contract,
            "contract": contract,
            "name": contract_name(rpc, store, contract),
            "known_at": known_at,
            "source": SOURCE,
            "source_row": f"watched:{contract}",
        }
        for contract in contracts
        if shared_contract(chain, contract) is None
    ]
    return pa.Table.from_pylist(rows, schema=COLLECTIONS.schema)


def _asked(rpc: Rpc, contract: str) -> str:
    try:
        answer = rpc.call("eth_call", {"to": contract, "data": _NAME}, "latest")
        text = _text(bytes.fromhex(str(answer)[2:]))[0]
    except (AnswerError, UndecodableLogError, ValueError):
        return ""  # a contract need not have a name, or may answer bytes32
    return str(text).replace("\0", "").strip()[:_LONGEST]
