"""Asking tokens for their metadata: which, as of which block, and what an answer means.

Here: one pass over the tokens that are due. Not here: documents (`sources.ethereum.metadata.documents`), the web
(`sources.ethereum.metadata.web`), what is kept (`sources.ethereum.metadata.store`).

Contracts are asked in batches as of a final block. Some tokens are kept at a time, in one transaction, so a process
that is killed goes on with the next ones.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sources.ethereum.decoders import cryptopunks
from sources.ethereum.decoders.abi import decoder
from sources.ethereum.decoders.movements import TRANSFER, movements_of
from sources.ethereum.decoders.updates import EVENTS, updated_tokens
from sources.ethereum.log import Log, UndecodableLogError
from sources.ethereum.metadata.documents import traits_of
from sources.ethereum.metadata.locations import Gateways, UnreadableMetadataError, located, with_id
from sources.ethereum.metadata.store import Answer, Token, TokenStore
from sources.ethereum.metadata.web import UnreachableError, Web
from sources.ethereum.rows import collection_of
from sources.ethereum.rpc import AnswerError, Rpc
from sources.ethereum.store import Store

_LOG = logging.getLogger(__name__)
_AT_A_TIME = 200
"""Tokens that are kept together."""
_REPORT_EVERY_S = 10.0
_PUNKS_DATA = "0x16f5a35647d6f03d5d3da7b35409d65ba03af3b2"
"""Contract that knows the attributes of CryptoPunks (`punkAttributes`), which have no metadata of their own."""
_CALLS = {"erc721": "0xc87b56dd", "erc1155": "0x0e89341c", "punks": "0x76dfe297"}
"""How a token is asked: `tokenURI`, `uri`, `punkAttributes`."""
_REFUSES = re.compile(r"revert|invalid opcode|out of gas|execution|stack|jump|bad instruction", re.IGNORECASE)
"""What nodes say when it is the contract that refuses, not they."""
_bytes = decoder(("bytes",))


@dataclass(frozen=True)
class MetadataOptions:
    """How tokens are asked for their metadata.

    Attributes:
        gateways: Servers for IPFS and Arweave.
        allowed: Hosts that may have a private address: gateways of one's own.
        timeout_s: Seconds for one document of one server.
        parallel: Documents fetched at a time.
    """

    gateways: Gateways = field(default_factory=Gateways)
    allowed: tuple[str, ...] = ()
    timeout_s: float = 20
    parallel: int = 8


class MetadataReader:
    """Reads the metadata of watched contracts' tokens into the store."""

    def __init__(self, rpc: Rpc, store: Store, chain: str, options: MetadataOptions) -> None:
        """Read from nodes of this chain, and from the web as the options say."""
        self._rpc = rpc
        self._store = store
        self._chain = chain
        self._gateways = options.gateways
        self._parallel = options.parallel
        self._web = Web(allowed=options.allowed, timeout_s=options.timeout_s, connections=options.parallel)
        self.tokens = TokenStore(store)

    def read(self, contracts: Sequence[str], block: int, *, known: int, now: int) -> int:
        """Ask the tokens that are due; returns how many facts are new.

        Args:
            contracts: Watched contracts, whose logs were read.
            block: The final block as of which they are asked.
            known: Unix seconds from which what they answer is known, if nothing says that it was so earlier.
            now: Unix seconds of our clock.

        Raises:
            NodeUnavailableError: No node answers. What was read is kept.
        """
        for contract, until in self._store.read_until(contracts).items():
            self._list(contract, until)
        new, done, began = 0, 0, time.monotonic()
        reported = began
        with ThreadPoolExecutor(self._parallel) as pool:
            for tokens in self._due(contracts, block, now):
                answers = list(zip(tokens, self._asked(tokens, block, pool), strict=True))
                new += self.tokens.keep(answers, block=block, known=known, now=now)
                done += len(tokens)
                if time.monotonic() - reported >= _REPORT_EVERY_S:
                    reported = time.monotonic()
                    _LOG.warning(
                        "metadata of %s tokens read, %.0f in a second", done, done / (reported - began)
                    )
        return new

    def _due(self, contracts: Sequence[str], block: int, now: int) -> Iterator[list[Token]]:
        while tokens := self.tokens.due(contracts, now, _AT_A_TIME):
            yield tokens
        for sample in self.tokens.unrevealed(contracts, now):
            yield sample
            for token in sample:
                newest = self.tokens.newest(token.contract, token.token_id)
                if newest is not None and newest[1] != token.content:
                    # It is revealed: those that had the same traits are asked, too.
                    others = self.tokens.with_content_of(token, block)
                    for start in range(0, len(others), _AT_A_TIME):
                        yield others[start : start + _AT_A_TIME]
                    break

    def _list(self, contract: str, until: int) -> None:
        """Keep which tokens of a contract moved since it was looked through."""
        after = self.tokens.listed_until(contract)
        if after >= until:
            return
        moved: list[tuple[int, str, str, int, int]] = []
        updated: list[tuple[int, int, int, int]] = []
        seen: set[int] = set()
        for known, log in self._store.final_logs(contract, after, until):
            for token, standard in _tokens_of(log):
                if token not in seen:
                    seen.add(token)
                    collection = collection_of(self._chain, contract, token)
                    moved.append((token, collection, standard, known, log.block_number))
            if log.event in EVENTS:
                try:
                    first, last = updated_tokens(log)
                except UndecodableLogError:
                    continue  # it says of no token that it changed
                updated.append((first, last, known, log.block_number))
        self.tokens.list_tokens(contract, until, moved, updated)

    def _asked(self, tokens: Sequence[Token], block: int, pool: ThreadPoolExecutor) -> list[Answer]:
        """What these tokens answer."""
        answers = self._called(tokens, hex(block))
        # A node that keeps no state of old blocks knows that of the newest one.
        lost = [n for n, one in enumerate(answers) if isinstance(one, AnswerError) and not _is_refusal(one)]
        for n, answer in zip(lost, self._called([tokens[n] for n in lost], "latest"), strict=True):
            answers[n] = answer
        uris = [_uri(token, answer) for token, answer in zip(tokens, answers, strict=True)]
        wanted = dict.fromkeys(uri for uri in uris if isinstance(uri, str))
        found = dict(zip(wanted, pool.map(self._found, wanted), strict=True))
        return [found[uri] if isinstance(uri, str) else uri for uri in uris]

    def _called(self, tokens: Sequence[Token], block: str) -> list[Any]:
        calls = [
            [
                {
                    "to": _PUNKS_DATA if token.standard == "punks" else token.contract,
                    "data": f"{_CALLS[token.standard]}{token.token_id:064x}",
                },
                block,
            ]
            for token in tokens
        ]
        return self._rpc.batch_each("eth_call", calls)

    def _found(self, uri: str) -> Answer:
        try:
            where = located(uri, self._gateways)
            document = where if isinstance(where, bytes) else self._web.document(where)
            return Answer(traits=traits_of(document), uri=uri)
        except UnreachableError as error:
            return Answer(unreachable=str(error))
        except UnreadableMetadataError as error:
            return Answer(found=str(error), uri=uri)


def _tokens_of(log: Log) -> list[tuple[int, str]]:
    """The tokens that a log moves, and how they are asked."""
    try:
        if log.address == cryptopunks.ADDRESS:
            moved = cryptopunks.movements_of([log])
            return [(m.token_id, "punks") for m in moved if m.token_id < 10_000]
        standard = "erc721" if log.event == TRANSFER else "erc1155"
        return [(m.token_id, standard) for m in movements_of(log)]
    except UndecodableLogError:
        return []  # it is in quarantine as a movement


def _is_refusal(error: AnswerError) -> bool:
    return bool(_REFUSES.search(error.text))


def _uri(token: Token, answer: Any) -> str | Answer:
    """What a contract answered: an address, or already what is known of the token."""
    if isinstance(answer, AnswerError):
        return Answer() if _is_refusal(answer) else Answer(unreachable=str(answer))
    try:
        given = bytes.fromhex(str(answer).removeprefix("0x"))
        if not given:
            return Answer()  # a contract without such a function
        text = _bytes(given)[0].decode("utf-8")
    except UnicodeDecodeError as error:
        return Answer(found=f"expected an address in UTF-8, found {error.reason} at byte {error.start}")
    except (UndecodableLogError, ValueError) as error:
        return Answer(found=f"expected a text, found {str(answer)[:100]}: {str(error)[:100]}")
    if token.standard == "punks":
        kind, *more = [part.strip() for part in text.split(",")]
        return Answer(traits=(("Type", kind), *(("Accessory", one) for one in more)) if kind else None)
    if not text.strip("\0 \n\t"):
        return Answer()
    return with_id(text, token.token_id) if token.standard == "erc1155" else text
