"""Group operations: keeping the lake small. Here: when and what to keep. Not here: how (`lake.maintenance`)."""

from dataclasses import asdict

import dagster as dg

from ml.text.markdown import markdown_text
from orchestration.conventions import DATA_TEAM, LAKE_WRITER
from orchestration.dagster_resources import AssayResource
from orchestration.maintenance.lake_files import described, find_damaged_files

# Long enough to read last week's estimates as they were; older snapshots are kept only where a model needs them.
RETENTION_DAYS = 30.0


@dg.asset(
    group_name="operations",
    owners=DATA_TEAM,
    kinds={"ducklake"},
    pool=LAKE_WRITER,
    description="Flushes inlined rows, merges small files, expires snapshots past the retention except those that a "
    "live model was trained on, deletes files that only expired snapshots named and old orphans of its own "
    "writes. Names the files in the lake's folder that are not its own. Before all that it compares every file with "
    "its digest: a damaged one is never merged into another.",
)
def lake_maintenance(assay: AssayResource) -> dg.MaterializeResult:
    """Compact the lake."""
    from lake.maintenance import maintain
    from ml.registry.mirror import read_champions

    found = find_damaged_files(assay)
    # What only earlier snapshots have is never merged into another file, and goes when they expire.
    current = [described(file) for file in found.damaged if file.end_snapshot is None]
    if current:
        raise dg.Failure(
            f"expected {found.files:,} files as they were written, found {len(current)} of the newest snapshot that "
            "are not; nothing was compacted or removed (docs/runbook/file-damaged.md)",
            metadata={
                "damaged": dg.MetadataValue.md("\n".join(f"- {markdown_text(one)}" for one in current))
            },
            allow_retries=False,
        )
    with assay.lake.read() as con:
        live = {champion.snapshot_id for champion in read_champions(con).values()}
    report = maintain(assay.lake, keep_snapshots=live, retention_days=RETENTION_DAYS)
    reviewed = {"files_reviewed": found.files, "bytes_reviewed": found.bytes}
    return dg.MaterializeResult(metadata={**asdict(report), **reviewed})
