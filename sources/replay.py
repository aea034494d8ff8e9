"""Judging quarantined rows again, by today's rules.

Here: from payloads back to candidate rows. Not here: the rules (`sources.rules`), nor marking rows as replayed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from sources.protocol import SourceBatch
from sources.validation import validate


def replay(
    quarantined: pa.Table, *, now: datetime, renames: Mapping[str, str] | None = None
) -> dict[str, SourceBatch]:
    """Judge quarantined rows again by today's rules.

    Args:
        quarantined: Rows of `raw.quarantine` (any status; pass the open ones).
        now: Instant (UTC, naive) after which an event is in the future.
        renames: Payload column → contract column, for rows that came under a wrong name.

    Returns:
        Per raw table the rows that are now good, and those that still are not. A row that is now good keeps
        its `source_row`, by which its quarantine row can be marked `replayed`.
    """
    # A row that came without a column stays out until the column is there: its absence is not a missing value.
    missing = pc.if_else(
        pc.equal(quarantined.column("reason"), "missing_column"), quarantined.column("column_name"), None
    )
    groups: dict[tuple[str, str | None], list[int]] = {}
    for position, key in enumerate(
        zip(quarantined.column("table_name").to_pylist(), missing.to_pylist(), strict=True)
    ):
        groups.setdefault(key, []).append(position)
    judged: dict[str, list[SourceBatch]] = {}
    for (table, column), positions in groups.items():
        chosen = quarantined.take(pa.array(positions))
        payloads = [json.loads(p) for p in chosen.column("payload").to_pylist()]
        rows = [{(renames or {}).get(k, k): v for k, v in p.items()} for p in payloads]
        names = list(dict.fromkeys(k for row in rows for k in row))
        texts = {n: pa.array([_as_text(row.get(n)) for row in rows], pa.string()) for n in names}
        latest = max(chosen.column("known_at").to_pylist())
        always = [column] if column else []
        # A row that never was one (an unreadable file) stays as it is: its payload has no contract column.
        batch = validate(table, _with_origin(texts, chosen), now=now, undated_known_at=latest, always=always)
        judged.setdefault(table, []).append(batch)
    return {
        table: SourceBatch(
            pa.concat_tables([b.rows for b in batches]), pa.concat_tables([b.rejected for b in batches])
        )
        for table, batches in judged.items()
    }


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value)


def _with_origin(texts: dict[str, pa.Array], quarantined: pa.Table) -> pa.Table:
    """The candidate of a replay: payload columns, with the origin the quarantine row knows."""
    origin = {name: quarantined.column(name).combine_chunks() for name in ("source", "source_row")}
    return pa.table({**texts, **origin})
