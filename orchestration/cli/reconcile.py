"""`assay reconcile`: each table against what it was made from, row for row. Here: options, printing, the exit code."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ml.text.visible import visible
from orchestration.cli.options import AsJson, Home
from orchestration.output.terminal import complain, print_json, say
from orchestration.settings import load_settings

if TYPE_CHECKING:
    from orchestration.reconciliation.findings import Comparison

SHOWN = 10
"""Differing rows of one table that are printed; as JSON all that are listed."""


def reconcile(
    home: Home = None,
    source: Annotated[str | None, typer.Option(help="Only rows of this configured source.")] = None,
    table: Annotated[str | None, typer.Option(help="Only this table, e.g. raw.sales or sales.")] = None,
    days: Annotated[
        str | None,
        typer.Option(
            help="Days of arrival: 2026-01-31, 2026-01-01..2026-01-31, or a number: the newest ones."
        ),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Read sources without what they keep: chains and APIs are asked again."),
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Read or compute again what differs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every table with what it was made from, row for row; say what differs and since when.

    Exit codes: 0 nothing differs · 1 something does, or could not be compared · 2 wrong settings or no home.
    """
    settings = load_settings(home=home)
    from orchestration.home import existing_home
    from orchestration.reconciliation.findings import Scope
    from orchestration.reconciliation.reconcile import reconcile as compare
    from orchestration.resources import Assay

    existing_home(settings)
    assay = Assay(settings)
    first, last = _days(days, assay.delivered_until.date())
    found = compare(assay, Scope(source, table, first, last, deep), repair=repair, say=complain)
    if as_json:
        print_json(_document(found))
    else:
        for one in found:
            _print(one)
    raise typer.Exit(0 if all(one.is_clean for one in found) else 1)


def _days(text: str | None, newest: date) -> tuple[date | None, date | None]:
    """First and last day of `--days`; None: no bound."""
    if text is None:
        return None, None
    if text.isdecimal() and 0 < int(text) < 100_000:
        return newest - timedelta(days=int(text) - 1), None
    first, _, last = text.partition("..")
    try:
        span = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        span = (date.max, date.min)
    if span[0] > span[1]:
        raise typer.BadParameter(
            f"expected a day (2026-01-31), two as 2026-01-01..2026-01-31, or a number of days; found {text!r}",
            param_hint="--days",
        )
    return span


def _document(found: list[Comparison]) -> dict[str, object]:
    from orchestration.reconciliation.findings import described

    return {
        "rows_compared": sum(one.rows for one in found),
        "rows_differing": sum(one.differing_rows for one in found),
        "tables": [
            {
                "table": one.table,
                "origin": one.origin,
                "source": one.source,
                "rows": one.rows,
                "missing": one.missing,
                "extra": one.extra,
                "changed": one.changed,
                "days_compared": len(one.days),
                "days_differing": [day.isoformat() for day in one.differing_days],
                "listed": [
                    {
                        "kind": listed.row.kind,
                        "key": [None if value is None else str(value) for value in listed.row.key],
                        "columns": [change.column for change in listed.row.changes],
                        "since_snapshot": None if listed.since is None else listed.since.snapshot,
                        "text": described(listed),
                    }
                    for listed in one.listed
                ],
                "problem": one.problem,
                "skipped": one.skipped,
                "repair": one.repair,
            }
            for one in found
        ],
    }


def _print(one: Comparison) -> None:
    from orchestration.reconciliation.findings import described

    state = "skipped" if one.skipped else "ok" if one.is_clean else "FOUND"
    counts = f"{one.rows:,} rows"
    if one.differing_rows:
        counts += f": {one.missing:,} missing, {one.extra:,} extra, {one.changed:,} changed"
    say(f"{state:<8} {one.table:<36} against {visible(one.origin)}: {visible(one.skipped or counts)}")
    if one.problem:
        say(f"         {visible(one.problem)}")
    for listed in one.listed[:SHOWN]:
        say(f"         {visible(described(listed))}")
    if one.differing_rows > SHOWN:
        say(f"         and {one.differing_rows - min(SHOWN, len(one.listed)):,} more")
    if one.differing_days:
        named = ", ".join(map(str, one.differing_days[:SHOWN]))
        say(f"         days of arrival: {named}{' …' if len(one.differing_days) > SHOWN else ''}")
    if one.repair:
        say(f"         → {visible(one.repair)}")
    elif one.differing_rows:
        say("         → add --repair, or see docs/how-to/reconcile.md")
