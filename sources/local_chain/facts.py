"""What contracts of a local chain say of themselves: the traits of their tokens, and the rate of ether in dollars.

Here: putting the answers on the chain. Not here: trades (`sources.local_chain.market`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from eth_abi import encode

from sources.ethereum.decoders import cryptopunks
from sources.ethereum.decoders.chainlink import ANSWER_UPDATED, FEEDS
from sources.local_chain.assembly import AGGREGATOR, FEED, REPLAYER, library
from sources.local_chain.logs import NOWHERE, log
from sources.local_chain.node import CALLER_ADDRESS, Node, emission

_TOKEN_URI, _PUNK_ATTRIBUTES = "0xc87b56dd", "0x76dfe297"
_PUNKS_DATA = "0x16f5a35647d6f03d5d3da7b35409d65ba03af3b2"
_DECIMALS = 8


def put_traits(node: Node, contract: str, traits: Mapping[int, Mapping[str, str]]) -> None:
    """Let a collection answer the traits of its tokens: as metadata in the address itself, or as CryptoPunks do."""
    is_punks = contract == cryptopunks.ADDRESS
    at = _PUNKS_DATA if is_punks else contract
    # Beside the contract: the same address with another beginning, which no other contract has.
    behind, first = "0xbe" + at[4:], f"0x7e{at[4:-4]}0000"
    if not is_punks:
        node.put_code(behind, node.call("eth_getCode", contract, "latest"))
    for token, some in traits.items():
        text = ", ".join(some.values()) if is_punks else _metadata(token, some)
        node.put_code(f"0x{int(first, 16) + token:040x}", encode(["string"], [text]))
    node.put_code(
        at, library(_PUNK_ATTRIBUTES if is_punks else _TOKEN_URI, first, NOWHERE if is_punks else behind)
    )


def log_rate(node: Node, usd: float, round_number: int, moment: int) -> None:
    """Let the price feed of ether answer.

    Args:
        node: The chain.
        usd: Dollars per ether.
        round_number: Number of the answer.
        moment: Unix seconds.
    """
    if round_number == 1:
        node.put_code(FEEDS["ethereum"]["ETH"], FEED)
        node.put_code(AGGREGATOR, REPLAYER)
    answer = int(usd * 10**_DECIMALS)
    answered = log(AGGREGATOR, ANSWER_UPDATED, (answer, round_number), encode(["uint256"], [moment]))
    node.send(node.accounts[0], CALLER_ADDRESS, emission([answered]))


def _metadata(token: int, traits: Mapping[str, str]) -> str:
    attributes = [{"trait_type": name, "value": value} for name, value in traits.items()]
    return "data:application/json," + json.dumps({"name": f"Token {token}", "attributes": attributes})
