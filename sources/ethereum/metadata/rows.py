"""From facts about tokens to rows of `raw.token_traits`.

Here: columns, and what goes to quarantine. Not here: the facts (`sources.ethereum.metadata.store`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa

from sources.contract import TOKEN_TRAITS
from sources.ethereum.metadata.store import Fact
from sources.ethereum.rows import SOURCE, collection_of, moment_of, refused_rows
from sources.protocol import SourceBatch
from sources.validation import validate

_BATCH_ROWS = 50_000
_EXPECTED = "metadata as ERC-721 and ERC-1155 describe it"


def trait_batches(chain: str, facts: Iterable[Fact], now: datetime) -> Iterator[SourceBatch]:
    """Rows of facts, judged by the raw contract; metadata that cannot be used are in quarantine.

    Args:
        chain: Name of the chain.
        facts: Facts in the order in which they are known.
        now: Later than this is the future (UTC, naive).
    """
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for fact in facts:
        name = f"{fact.contract}:{fact.token_id}:{fact.known}"
        common = {
            "chain": chain,
            "collection": collection_of(chain, fact.contract, fact.token_id),
            "contract": fact.contract,
            "token_id": str(fact.token_id),
        }
        known_at = moment_of(fact.known)
        rows += [
            {
                **common,
                "trait_type": kind,
                "trait_value": value,
                "known_at": known_at,
                "source": SOURCE,
                "source_row": f"{name}:{position}",
            }
            for position, (kind, value) in enumerate(fact.traits or ())
        ]
        if fact.found is not None:
            refused.append(
                {
                    "source_row": name,
                    "reason": "unreadable_metadata",
                    "expected": _EXPECTED,
                    "found": fact.found,
                    "payload": json.dumps({**common, "uri": fact.uri}),
                    "known_at": known_at,
                }
            )
        if len(rows) + len(refused) >= _BATCH_ROWS:
            yield _batch(rows, refused, now)
            rows, refused = [], []
    if rows or refused:
        yield _batch(rows, refused, now)


def _batch(rows: list[dict[str, Any]], refused: list[dict[str, Any]], now: datetime) -> SourceBatch:
    judged = validate(
        TOKEN_TRAITS.name,
        pa.Table.from_pylist(rows, schema=TOKEN_TRAITS.schema),
        now=now,
        undated_known_at=now,
    )
    if not refused:
        return judged
    out = refused_rows(TOKEN_TRAITS.name, "trait_value", refused)
    return SourceBatch(judged.rows, pa.concat_tables([judged.rejected, out]))
