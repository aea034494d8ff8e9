"""The errors of new sales: entered into the ledger, and judged.

Here: the transactions. Not here: any figure (`ml.ledger`, `ml.monitoring`). Both read what was written before them, and
doing either twice for one `as_of` changes nothing: the next pass finishes one that was killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.ledger.estimate_ledger import LedgerUpdate
    from ml.monitoring.online_error import OnlineUpdate
    from orchestration.resources import Assay


def enter_sales(assay: Assay) -> LedgerUpdate:
    """New and corrected sales into `monitoring.estimate_ledger`."""
    from ml.ledger.estimate_ledger import update_estimate_ledger

    with assay.lake.write("enter new sales into the ledger") as con:
        return update_estimate_ledger(con, assay.as_of)


def judge_errors(assay: Assay) -> OnlineUpdate:
    """`monitoring.online_metrics` and `monitoring.mape_buckets`."""
    from ml.monitoring.error_buckets import update_mape_buckets
    from ml.monitoring.online_error import update_online_metrics

    with assay.lake.write("judge the errors of the newest sales") as con:
        update = update_online_metrics(con, assay.as_of)
        update_mape_buckets(con, assay.as_of)
        return update
