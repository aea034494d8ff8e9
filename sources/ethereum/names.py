"""What a contract calls itself.

Here: asking a contract for its name, once. The text is anybody's choice: it is cut, and no key.
"""

from __future__ import annotations

from sources.ethereum.decoders.abi import decoder
from sources.ethereum.log import UndecodableLogError
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


def _asked(rpc: Rpc, contract: str) -> str:
    try:
        answer = rpc.call("eth_call", {"to": contract, "data": _NAME}, "latest")
        text = _text(bytes.fromhex(str(answer)[2:]))[0]
    except (AnswerError, UndecodableLogError, ValueError):
        return ""  # a contract need not have a name, or may answer bytes32
    return str(text).replace("\0", "").strip()[:_LONGEST]
