"""The job `monitor`.

Here: the selection. Not here: what its assets do (`orchestration.monitoring.assets`, `orchestration.slo`).
"""

import dagster as dg

monitor = dg.define_asset_job(
    "monitor",
    # The walk-forward accuracy changes with training, and is made there.
    dg.AssetSelection.groups("monitoring") - dg.AssetSelection.assets("walk_forward_accuracy"),
    description="One monitoring pass: the ledger of errors, SLOs, and what is decided from them.",
)
