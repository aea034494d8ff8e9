"""What is read from a scratch home after a drill: what was lost, and what the system did.

Here: set-wise SQL over the lake, and the source asked again. Not here: what is expected (`catalogue`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestration.resources import Assay


@dataclass(frozen=True)
class Losses:
    """Whether every sale that the source told is accounted for.

    Attributes:
        told: Sale rows that the source tells for the whole history, asked again.
        accepted: Sale rows in the lake.
        in_quarantine: Sale rows in quarantine, with their reason and their content.
        difference: Rows of the marts' reconciliation that are unexplained (sum of absolute values).
    """

    told: int
    accepted: int
    in_quarantine: int
    difference: int

    @property
    def lost(self) -> int:
        """Rows that are nowhere, or twice."""
        return abs(self.told - self.accepted - self.in_quarantine) + self.difference


def read_losses(assay: Assay, until: datetime) -> Losses:
    """Compare what the source tells with what the lake holds, for everything known before `until`."""
    source, told = assay.source, 0
    for batch in source.read("sales", source.first_known(), until):
        told += batch.num_source_rows
    with assay.lake.read() as con:
        row = con.execute(
            """
            select
                (select count(*) from raw.sales),
                (select count(*) from raw.quarantine where table_name = 'sales' and status = 'open'),
                (select coalesce(sum(abs(difference)), 0)::bigint from marts.sales_reconciliation)
            """
        ).fetchone()
    assert row is not None
    return Losses(told, *row)


def count(assay: Assay, sql: str, *, since: datetime, now: datetime) -> float:
    """The one number of a query that may use `$since` (start of the fault) and `$now`; 0 for null."""
    given = {name: at for name, at in (("since", since), ("now", now)) if f"${name}" in sql}
    with assay.lake.read() as con:
        row = con.execute(sql, given).fetchone()
    return float(row[0] or 0) if row else 0.0
