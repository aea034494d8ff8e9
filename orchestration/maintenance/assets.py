"""Group operations: keeping the lake small. Here: when and what to keep. Not here: how (`lake.maintenance`)."""

from dataclasses import asdict

import dagster as dg

from orchestration.conventions import DATA_TEAM, LAKE_WRITER
from orchestration.dagster_resources import AssayResource

# Long enough to read last week's estimates as they were; older snapshots are kept only where a model needs them.
RETENTION_DAYS = 30.0


@dg.asset(
    group_name="operations",
    owners=DATA_TEAM,
    kinds={"ducklake"},
    pool=LAKE_WRITER,
    description="Flushes inlined rows, merges small files, expires snapshots past the retention except those that a "
    "live model was trained on, deletes files that only expired snapshots named and old orphans of its own "
    "writes. Names the files in the lake's folder that are not its own.",
)
def lake_maintenance(assay: AssayResource) -> dg.MaterializeResult:
    """Compact the lake."""
    from lake.maintenance import maintain
    from ml.registry.mirror import read_champions

    with assay.lake.read() as con:
        live = {champion.snapshot_id for champion in read_champions(con).values()}
    report = maintain(assay.lake, keep_snapshots=live, retention_days=RETENTION_DAYS)
    return dg.MaterializeResult(metadata=asdict(report))
