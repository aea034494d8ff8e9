"""The page "operations" of the UI: where an operator finds what. Here: the links. Not here: what they lead to."""

from __future__ import annotations

import dagster as dg

from orchestration.code_location import CODE_LOCATION
from orchestration.conventions import DATA_TEAM
from orchestration.home import REPOSITORY

_JOB = f"/locations/{CODE_LOCATION}/jobs"

_PAGE = f"""Where to look, and what to do when something is wrong. Nothing makes this asset: it is a page.

**What is wrong now**

- [Runs that failed](/runs/failed), and [all runs](/runs)
- [Service levels and their error budgets](/assets/slo_status); in a terminal `assay status`
- Open alerts, each with the page of the runbook that ends it: `assay alerts`
- [Schedules and sensors](/automation), and [whether the daemon lives](/deployment/daemons)

**Reports**

- [Accuracy, walk-forward, beside simple baselines](/assets/walk_forward_accuracy); `assay report` writes pages
- [Error of the estimates that were published, and models by that error](/assets/online_metrics)
- [Drift, a page per collection that moved](/assets/drift_scores), and [what is trained again](/assets/retrain_queue)
- [The price index](/assets/hedonic_index), and [portfolios](/assets/wallet_valuations)

**What to start**

- [Everything: what `assay run` does]({_JOB}/everything), or [the same without training]({_JOB}/refresh)
- [Compact the lake]({_JOB}/maintain), and [search settings of models]({_JOB}/tune)

The runbook has a page for every alert. Its path, and those of the guides, are in the metadata below; `make docs` builds
them as a site.
"""

operations = dg.AssetSpec(
    "operations",
    group_name="operations",
    owners=DATA_TEAM,
    kinds={"markdown"},
    description=_PAGE,
    metadata={
        "runbook": dg.MetadataValue.path(str(REPOSITORY / "docs" / "runbook" / "README.md")),
        "how_to": dg.MetadataValue.path(str(REPOSITORY / "docs" / "how-to")),
    },
)
