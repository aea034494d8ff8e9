"""Checks of the raw tables: rows in the lake that have passed validation (`sources.validation`).

Event tables are checked for the last seven days of arrival: older rows were checked when they were new.
"""

from __future__ import annotations

from ml.tables.registry import table as declared
from orchestration.checks.definition import Check, CheckContext, Finding, no_rows
from orchestration.checks.schema import rows_meet
from orchestration.checks.volume import volume_as_expected
from orchestration.slo.definitions import allowed_share
from orchestration.states import CheckSeverity
from sources.contract import BLOCKS, EVENT_TABLES, RAW_TABLES

RECENT = "known_at >= $as_of::timestamp - interval 7 day and known_at < $as_of"


def _contract(table: str) -> Check:
    return Check(
        name=f"{table}_meet_the_contract",
        asset=f"raw_{table}",
        description="Rows have every required value and only listed words, in the contract's types.",
        measure=rows_meet(
            declared(f"raw.{table}"),
            RECENT if table in EVENT_TABLES else "true",
            keys=("delivered_by", "source", "source_row"),
        ),
        severity=CheckSeverity.ERROR,
        blocking=True,
        runbook="rows-contradict",
    )


def _unique(table: str) -> Check:
    return Check(
        name=f"{table}_are_unique",
        asset=f"raw_{table}",
        description="No row of a source was ingested twice. (One sale in two rows is for the marts.)",
        measure=no_rows(
            f"select delivered_by, source, source_row, count(*) as times from raw.{table} where {RECENT}"
            " group by all having times > 1"
        ),
        severity=CheckSeverity.ERROR,
        runbook="rows-contradict",
    )


def _volume(table: str) -> Check:
    return Check(
        name=f"{table}_volume",
        asset=f"raw_{table}",
        description="The newest whole day has about as many rows as that weekday usually has, mints left out.",
        measure=volume_as_expected(table),
        runbook="volume-unexpected",
    )


def quarantine_rate(context: CheckContext) -> Finding:
    """Rows in quarantine against all rows ever read, by source. A source without a limit has that of the SLO."""
    default = allowed_share("quarantine_rate")
    sources = context.con.execute(
        """
        select l.source, sum(rows) as accepted, sum(quarantined) as quarantined,
            sum(quarantined) / greatest(sum(rows) + sum(quarantined), 1) as share,
            coalesce(any_value(s.quarantine_limit), $limit) as limit
        from ops.ingest_log as l left join ops.sources as s on l.source = s.name group by l.source order by l.source
        """,
        {"limit": default},
    ).df()
    reasons = context.con.execute(
        "select delivered_by, reason, count(*) as rows, any_value(source_row) as example,"
        " any_value(expected) as expected, any_value(found) as found from raw.quarantine where status = 'open'"
        " group by 1, 2 order by 3 desc limit 20"
    ).df()
    over = sources[sources["share"] > sources["limit"]]
    worst = (
        sources.assign(part=sources["share"] / sources["limit"].clip(lower=1e-12)).sort_values("part").tail(1)
    )
    numbers = {
        "share": float(worst["share"].iloc[0]) if len(worst) else 0.0,
        "limit": float(worst["limit"].iloc[0]) if len(worst) else default,
        "quarantined_rows": int(sources["quarantined"].sum()),
        "sources_over_limit": ", ".join(over["source"]),
    }
    return Finding(over.empty, numbers, reasons)


RAW = (
    *(_contract(table) for table in RAW_TABLES),
    *(_unique(table) for table in RAW_TABLES),
    # How many blocks are not final yet depends on when they are read.
    *(_volume(table) for table in EVENT_TABLES if table != BLOCKS.name),
    Check(
        name="sources_readable",
        asset="raw_sales",
        description="Every configured source could be read. The others go on without one that could not.",
        measure=no_rows("select name, kind, watermark, problem from ops.sources where problem is not null"),
        severity=CheckSeverity.ERROR,
        what_to_do="assay sources",
        runbook="source-unreadable",
    ),
    Check(
        name="answers_are_believed",
        asset="raw_blocks",
        description="What nodes and APIs answer fits together: a head does not go back, no logs are gone, pages end.",
        measure=no_rows("select source, opened_at, what from ops.source_incidents where closed_at is null"),
        severity=CheckSeverity.ERROR,
        what_to_do="assay sources",
        runbook="node-doubtful",
    ),
    Check(
        name="quarantine_rate",
        asset="raw_sales",
        description="Few rows of each source are refused at ingestion. Above its limit (of the source, or else of the "
        "SLO `quarantine_rate`) a source has probably changed its format.",
        measure=quarantine_rate,
        what_to_do="assay replay",
        runbook="quarantine-grew",
    ),
)
