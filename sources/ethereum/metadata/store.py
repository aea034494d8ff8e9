"""What is known of each token's metadata, kept in the SQLite file of the source.

Here: which tokens there are, which are to be asked now, and the facts that were read. Not here: asking
(`sources.ethereum.metadata.reading`).

A fact is never changed. Other traits than before are a new fact, with the time from which they are known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sources.ethereum.metadata.documents import Traits
from sources.ethereum.store import Store

ASK_AGAIN_S = 6 * 3600
"""Seconds after which some tokens of a collection that is not revealed are asked again."""
SAMPLE = 10
"""How many of them."""
_FIRST_PAUSE_S = 3600
_LONGEST_PAUSE_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is asked.

    Attributes:
        contract: Its contract.
        token_id: Its number.
        standard: How it is asked: erc721, erc1155 or punks.
        since: Unix seconds from which its first movement is known.
        updated_block: Block of the newest event that says that its metadata changed.
        updated_known: Unix seconds from which that event is known.
        asked_block: As of which block it was asked before.
        content: What it answered then: its traits as JSON; None: nothing that could be used.
    """

    contract: str
    token_id: int
    standard: str
    since: int
    updated_block: int | None
    updated_known: int | None
    asked_block: int | None
    content: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a token answered.

    Attributes:
        traits: Its traits; None: there are none that can be used.
        uri: Where they are from.
        found: What was found instead of metadata that can be used.
        unreachable: Why no server gave the document; it is asked for again later.
    """

    traits: Traits | None = None
    uri: str | None = None
    found: str | None = None
    unreachable: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of a token's traits from a time on.

    Attributes:
        contract: Its contract.
        token_id: Its number.
        known: Unix seconds.
        traits: Its traits, those that it lost with the value None; None: the metadata cannot be used.
        uri: Where they are from.
        found: What was found instead.
    """

    contract: str
    token_id: int
    known: int
    traits: Traits | None
    uri: str | None
    found: str | None


class TokenStore:
    """The tables of tokens and their facts."""

    def __init__(self, store: Store) -> None:
        """Use the file of a source."""
        self.con = store.con

    def listed_until(self, contract: str) -> int:
        """The block up to which the movements of a contract were looked through; -1: none."""
        row = self.con.execute("select block from tokens_listed where contract = ?", [contract]).fetchone()
        return -1 if row is None else int(row[0])

    def list_tokens(
        self,
        contract: str,
        until: int,
        moved: Iterable[tuple[int, str, str, int, int]],
        updated: Iterable[tuple[int, int, int, int]],
    ) -> None:
        """Keep tokens that moved, and events that say that metadata changed.

        Args:
            contract: Their contract.
            until: Last block that was looked through.
            moved: (token, collection, standard, known, block) of movements, in the order of blocks.
            updated: (first token, last token, known, block) of events, in the order of blocks.
        """
        with self.con:
            self.con.execute("begin immediate")
            self.con.executemany(
                "insert or ignore into tokens (contract, token_id, collection, standard, since, first_block)"
                " values (?, ?, ?, ?, ?, ?)",
                ((contract, _key(t), c, s, known, block) for t, c, s, known, block in moved),
            )
            self.con.executemany(
                "update tokens set updated_block = ?, updated_known = ?"
                " where contract = ? and token_id between ? and ?",
                ((block, known, contract, _key(first), _key(last)) for first, last, known, block in updated),
            )
            self.con.execute("insert or replace into tokens_listed values (?, ?)", [contract, until])

    def due(self, contracts: Sequence[str], now: int, limit: int) -> list[Token]:
        """Tokens to ask now: never asked, changed since, not reached before; the oldest first.

        Args:
            contracts: Watched contracts.
            now: Unix seconds of our clock.
            limit: How many at most.
        """
        return self._tokens(
            "(retry_at <= :now or problem is null and updated_block > asked_block"
            " or asked_block is null and retry_at is null)"
            f" and contract in ({_quoted(contracts)}) order by first_block, contract, token_id limit {limit}",
            now=now,
        )

    def unrevealed(self, contracts: Sequence[str], now: int) -> list[list[Token]]:
        """Some tokens of each collection of which more than half have the same traits, when it is time again."""
        shared = self.con.execute(
            f"""
            with contents as (
                select collection, content, count(*) as tokens, max(asked_at) as asked_at from tokens
                where content is not null and contract in ({_quoted(contracts)}) group by collection, content
            )
            select collection, content from contents
            where tokens >= 2 and asked_at <= ?
                and 2 * tokens > (select sum(tokens) from contents as o where o.collection = contents.collection)
            order by collection
            """,
            [now - ASK_AGAIN_S],
        ).fetchall()
        return [
            self._tokens(
                "collection = :collection and content = :content and retry_at is null"
                f" order by asked_at, first_block, contract, token_id limit {SAMPLE}",
                collection=collection,
                content=content,
            )
            for collection, content in shared
        ]

    def with_content_of(self, token: Token, asked_before: int) -> list[Token]:
        """The tokens of a collection that have the traits that one of them had."""
        return self._tokens(
            "collection = (select collection from tokens where contract = :contract and token_id = :token)"
            " and content = :content and asked_block < :before order by first_block, contract, token_id",
            contract=token.contract,
            token=_key(token.token_id),
            content=token.content,
            before=asked_before,
        )

    def keep(self, answers: Iterable[tuple[Token, Answer]], *, block: int, known: int, now: int) -> int:
        """Keep what tokens answered, in one transaction; returns how many facts are new.

        Args:
            answers: Tokens and what they answered.
            block: Block as of which they were asked.
            known: Unix seconds from which what they answer is known, if nothing says that it was so earlier.
            now: Unix seconds of our clock.
        """
        new = 0
        with self.con:
            self.con.execute("begin immediate")
            for token, answer in answers:
                new += self._keep(token, answer, block, known, now)
        return new

    def _keep(self, token: Token, answer: Answer, block: int, known: int, now: int) -> int:
        key = [token.contract, _key(token.token_id)]
        if answer.unreachable is not None:
            self.con.execute(
                "update tokens set failures = failures + 1, problem = ?, asked_at = ?,"
                f" retry_at = ? + min({_FIRST_PAUSE_S} << min(failures, 20), {_LONGEST_PAUSE_S})"
                " where contract = ? and token_id = ?",
                [answer.unreachable[:300], now, now, *key],
            )
            return 0
        content = None if answer.traits is None else _as_json(answer.traits)
        before = self.newest(token.contract, token.token_id)
        self.con.execute(
            "update tokens set failures = 0, problem = null, retry_at = ?, asked_at = ?, asked_block = ?,"
            " content = ? where contract = ? and token_id = ?",
            # What cannot be used may be the error page of a server.
            [None if answer.found is None else now + _LONGEST_PAUSE_S, now, block, content, *key],
        )
        if content is None and answer.found is None:
            return 0  # it says nothing, or nothing any more: what is known of it stays
        if before is not None and (before[1], before[2]) == (content, answer.found):
            return 0
        self.con.execute(
            "insert into token_facts (contract, token_id, known, traits, uri, found)"
            " values (?, ?, ?, ?, ?, ?)",
            [*key, self._known(token, before, known), content, (answer.uri or "")[:1000], answer.found],
        )
        return 1

    @staticmethod
    def _known(token: Token, before: tuple[int, str | None, str | None] | None, known: int) -> int:
        """From when a new fact is known: an event says it, else it is the first one, else when it was read."""
        event = token.updated_known or 0
        if before is None:
            return max(token.since, event)
        asked = -1 if token.asked_block is None else token.asked_block
        is_of_event = token.updated_block is not None and token.updated_block > asked
        return max(event if is_of_event else known, before[0] + 1)

    def newest(self, contract: str, token_id: int) -> tuple[int, str | None, str | None] | None:
        """Since when what is known of a token is known, its traits as JSON, and what was found instead."""
        row: tuple[int, str | None, str | None] | None = self.con.execute(
            "select known, traits, found from token_facts where contract = ? and token_id = ?"
            " order by known desc limit 1",
            [contract, _key(token_id)],
        ).fetchone()
        return row

    def facts(self, first: int, end: int) -> Iterator[Fact]:
        """Facts with first <= known < end (unix seconds), in the order of their time."""
        query = """
            select contract, token_id, known, traits, uri, found, (
                select traits from token_facts as b
                where b.contract = f.contract and b.token_id = f.token_id and b.known < f.known and b.traits is not null
                order by b.known desc limit 1
            ) from token_facts as f where known >= ? and known < ? order by known, contract, token_id
        """
        for contract, token, known, traits, uri, found, before in self.con.execute(query, [first, end]):
            stated = None if traits is None else _traits(traits)
            if stated is not None and before is not None:
                names = {name for name, _ in stated}
                gone = dict.fromkeys(name for name, _ in _traits(before) if name not in names)
                stated = (*stated, *((name, None) for name in gone))
            yield Fact(contract, int(token), known, stated, uri, found)

    def unreachable(self) -> tuple[int, str]:
        """How many tokens wait because no server gives their metadata, and the problem of one of them."""
        count, problem = self.con.execute(
            "select count(*), max(problem) from tokens where problem is not null"
        ).fetchone()
        return int(count), str(problem or "")

    def _tokens(self, where: str, **given: object) -> list[Token]:
        rows = self.con.execute(
            "select contract, token_id, standard, since, updated_block, updated_known, asked_block, content"
            f" from tokens where {where}",
            given,
        )
        return [Token(row[0], int(row[1]), *row[2:]) for row in rows]


def _key(token_id: int) -> str:
    """A number as text that sorts as the number does."""
    return f"{token_id:078d}"


def _quoted(contracts: Sequence[str]) -> str:
    return ", ".join(f"'{contract}'" for contract in contracts) or "null"


def _as_json(traits: Traits) -> str:
    """Traits in one order: a server that tells them in another one tells nothing new."""
    ordered = sorted(traits, key=lambda trait: (trait[0], trait[1] is not None, trait[1] or ""))
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))


def _traits(text: str) -> Traits:
    return tuple((name, value) for name, value in json.loads(text))
