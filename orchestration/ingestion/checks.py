"""Checks of the raw tables: what lies in the lake, after the door (`sources.validation`) has judged it.

Event tables are looked at for the last seven days of arrival: older rows were looked at when they were new.
"""

from __future__ import annotations

from orchestration.checks.definition import Check, no_rows
from orchestration.checks.schema import contract_rules, rows_meet
from orchestration.checks.volume import volume_as_expected
from sources.contract import RAW_TABLES

EVENT_TABLES = ("sales", "transfers", "listings", "exchange_rates")
RECENT = "known_at >= $now::timestamp - interval 7 day and known_at < $now"


def _contract(table: str) -> Check:
    contract = RAW_TABLES[table]
    events = table in EVENT_TABLES
    return Check(
        name=f"{table}_meet_the_contract",
        asset=f"raw_{table}",
        description="Rows have every required value and only listed words, in the contract's types.",
        measure=rows_meet(
            f"raw.{table}", contract_rules(contract), ("source", "source_row"), RECENT if events else "true"
        ),
        severity="error",
        blocking=True,
        runbook="rows-contradict",
    )


def _once(table: str) -> Check:
    return Check(
        name=f"{table}_told_once",
        asset=f"raw_{table}",
        description="No row of a source was ingested twice (the same sale told twice by a source is another matter).",
        measure=no_rows(
            f"select source, source_row, count(*) as times from raw.{table} where {RECENT}"
            " group by all having times > 1"
        ),
        severity="error",
        runbook="rows-contradict",
    )


def _volume(table: str) -> Check:
    return Check(
        name=f"{table}_volume",
        asset=f"raw_{table}",
        description="The newest whole day brought about as many rows as that weekday usually does, mints left out.",
        measure=volume_as_expected(table),
        runbook="volume-unexpected",
    )


RAW = (
    *(_contract(table) for table in RAW_TABLES),
    *(_once(table) for table in RAW_TABLES),
    *(_volume(table) for table in EVENT_TABLES),
)
