"""What is read from a scratch home after a drill: what was lost, and what the system did.

Here: set-wise SQL over the lake, and the source asked again. Not here: what is expected
(`orchestration.reliability.drills.catalogue`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestration.resources import Assay


@dataclass(frozen=True)
class Losses:
    """Whether every sale that the source delivered is accounted for.

    Attributes:
        delivered: Sale rows that the source delivers for the whole history, asked again.
        accepted: Sale rows in the lake.
        in_quarantine: Sale rows in quarantine, with their reason and their content.
        difference: Rows of the marts' reconciliation that are unexplained (sum of absolute values).
    """

    delivered: int
    accepted: int
    in_quarantine: int
    difference: int

    @property
    def lost(self) -> int:
        """Rows that are nowhere, or twice."""
        return abs(self.delivered - self.accepted - self.in_quarantine) + self.difference


def read_losses(assay: Assay, until: datetime) -> Losses:
    """Compare what the sources deliver with what the lake holds, for everything known before `until`."""
    delivered = 0
    for one in assay.sources.readable:
        for batch in one.source.read("sales", one.source.first_known(), until):
            delivered += batch.num_source_rows
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
    return Losses(delivered, *row)


def count(assay: Assay, sql: str, *, since: datetime, as_of: datetime) -> float:
    """The one number of a query that may use `$since` (start of the fault) and `$as_of`; 0 for null."""
    given = {name: at for name, at in (("since", since), ("as_of", as_of)) if f"${name}" in sql}
    with assay.lake.read() as con:
        row = con.execute(sql, given).fetchone()
    return float(row[0] or 0) if row else 0.0
