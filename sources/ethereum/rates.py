"""Exchange rates from Chainlink's feeds on the chain: rows of `raw.exchange_rates`.

Here: which aggregators logged for a feed, and their answers as rows. Not here: reading their logs
(`sources.ethereum.reading`), the feeds (`sources.ethereum.decoders.chainlink`).

A feed has an aggregator for each of its phases. All of them are read: the rates of old sales are in the old ones. Only
answers in final blocks become rows, because a rate cannot be superseded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from sources.contract import EXCHANGE_RATES
from sources.ethereum.decoders.chainlink import answer_of
from sources.ethereum.log import Log, UndecodableLogError
from sources.ethereum.rows import SOURCE, log_as_json, moment_of, refused_rows
from sources.ethereum.rpc import AnswerError, Rpc
from sources.ethereum.store import Store
from sources.protocol import SourceBatch
from sources.validation import validate

_PHASE, _AGGREGATOR_OF_PHASE, _DECIMALS = "0x58303b10", "0xc1597304", "0x313ce567"
_NOTE = "aggregators of price feeds"
_MOST_PHASES = 100
_BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Aggregator:
    """A contract that logs the answers of a feed.

    Attributes:
        address: Contract.
        symbol: Currency whose price in dollars it states.
        decimals: Decimals of its answers.
    """

    address: str
    symbol: str
    decimals: int


def find_aggregators(rpc: Rpc, store: Store, feeds: Mapping[str, str]) -> list[Aggregator]:
    """The aggregators of feeds, in the order of their phases; none for a feed that is not on this chain.

    An aggregator that is new since the last time is read from where the one before it was read to.

    Args:
        rpc: Nodes.
        store: Remembers them.
        feeds: Symbol → proxy.

    Raises:
        NodeUnavailableError: No node answers.
    """
    held = [Aggregator(**one) for one in json.loads(store.note(_NOTE) or "[]")]
    phases = _numbers(rpc, [(proxy, _PHASE) for proxy in feeds.values()])
    decimals = _numbers(rpc, [(proxy, _DECIMALS) for proxy in feeds.values()])
    wanted = [
        (symbol, proxy, phase, digits)
        for (symbol, proxy), last, digits in zip(feeds.items(), phases, decimals, strict=True)
        if last is not None and digits is not None and last <= _MOST_PHASES and digits <= 36
        for phase in range(1, last + 1)
    ]
    addresses = _numbers(
        rpc, [(proxy, f"{_AGGREGATOR_OF_PHASE}{phase:064x}") for _, proxy, phase, _ in wanted]
    )
    found = list(held)
    for (symbol, _, _, digits), number in zip(wanted, addresses, strict=True):
        address = f"0x{number or 0:040x}"
        if number and len(address) == 42 and address not in {one.address for one in found}:
            _continue(store, address, [one.address for one in held if one.symbol == symbol])
            found.append(Aggregator(address, symbol, digits))
    if found != held:
        store.keep_note(_NOTE, json.dumps([asdict(one) for one in found]))
    return found


def rate_batches(
    store: Store, aggregators: Sequence[Aggregator], start: int, end: int, now: datetime
) -> Iterator[SourceBatch]:
    """Rows of the answers with start <= known < end (unix seconds); what is no price is in quarantine.

    Args:
        store: Logs that were read.
        aggregators: Whose logs are answers.
        start: Known from this time on.
        end: Known before this time.
        now: Later than this is the future (UTC, naive).
    """
    by_address = {one.address: one for one in aggregators}
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for known, log in store.logs_known(list(by_address), start, end):
        known_at, name = moment_of(known), f"{log.block_hash}:{log.log_index}"
        one = by_address[log.address]
        try:
            rate = answer_of(log) / 10**one.decimals
        except UndecodableLogError as error:
            refused.append(_refused(log, name, known_at, str(error)))
            continue
        rows.append(
            {
                "symbol": one.symbol,
                "quote": "USD",
                "rate": rate,
                "granularity": "update",
                "event_time": known_at,
                "known_at": known_at,
                "source": SOURCE,
                "source_row": name,
            }
        )
        if len(rows) >= _BATCH_ROWS:
            yield _batch(rows, refused, now)
            rows, refused = [], []
    if rows or refused:
        yield _batch(rows, refused, now)


def _batch(rows: list[dict[str, Any]], refused: list[dict[str, Any]], now: datetime) -> SourceBatch:
    table = pa.Table.from_pylist(rows, schema=EXCHANGE_RATES.schema)
    judged = validate(EXCHANGE_RATES.name, table, now=now, undated_known_at=now)
    if not refused:
        return judged
    out = refused_rows(EXCHANGE_RATES.name, "rate", refused)
    return SourceBatch(judged.rows, pa.concat_tables([judged.rejected, out]))


def _refused(log: Log, name: str, known_at: datetime, found: str) -> dict[str, Any]:
    return {
        "source_row": name,
        "reason": "undecodable_log",
        "expected": "an answer of a price feed",
        "found": found,
        "payload": json.dumps(log_as_json(log)),
        "known_at": known_at,
    }


def _continue(store: Store, address: str, before: Sequence[str]) -> None:
    """Read a new aggregator from where those of earlier phases were read to."""
    marks = store.read_until(before) if before else {}
    if marks:
        store.keep([address], min(marks.values()), (), ())


def _numbers(rpc: Rpc, calls: Sequence[tuple[str, str]]) -> list[int | None]:
    """What contracts answer, as a number; None where there is no contract, or it refuses."""
    answers = rpc.batch_each("eth_call", [[{"to": to, "data": data}, "latest"] for to, data in calls])
    return [None if isinstance(a, AnswerError) else _number(str(a)) for a in answers]


def _number(answer: str) -> int | None:
    try:
        return int(answer, 16) if len(answer) == 66 else None
    except ValueError:
        return None
