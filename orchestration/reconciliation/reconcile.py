"""Every table against what it was made from, at one snapshot, and the repair of what differs.

Here: the order, one thing that fails not stopping the others. Not here: the comparisons
(`orchestration.reconciliation.raw_tables`, `orchestration.reconciliation.derived_tables`) and the repairs
(`orchestration.reconciliation.repairs`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestration.errors import HomeError
from orchestration.ingestion.configured import refuse_other_sources
from orchestration.reconciliation.derived_tables import DERIVED_TABLES, compare_derived
from orchestration.reconciliation.findings import Comparison, Scope
from orchestration.reconciliation.raw_tables import compare_with_source
from orchestration.reconciliation.repairs import repair_days, repair_derived
from sources.contract import QUARANTINE, RAW_TABLES
from sources.protocol import SourceError

if TYPE_CHECKING:
    from orchestration.resources import Assay
    from sources.protocol import Source
    from sources.several import ConfiguredSource

COMPARED_TABLES = (*(f"raw.{name}" for name in (*RAW_TABLES, QUARANTINE.name)), *DERIVED_TABLES)


def reconcile(
    assay: Assay, scope: Scope, *, repair: bool = False, say: Callable[[str], None] = lambda _: None
) -> list[Comparison]:
    """Compare every table in the scope with its origin.

    Args:
        assay: The home.
        scope: Which sources, tables and days.
        repair: Whether what differs is repaired; a raw table that was is compared again.
        say: Called with a line on what is compared.

    Raises:
        HomeError: The home has no such source or table, or its sources are configured with other data.
    """
    _check(assay, scope)
    refuse_other_sources(assay.lake, assay.sources)
    found = [*_compare_raw(assay, scope, say), *_compare_derived(assay, scope, say)]
    return _repaired(assay, scope, found, say) if repair else found


def compare_segments(assay: Assay, segments: Mapping[str, Iterable[tuple[str, date]]]) -> list[Comparison]:
    """Compare single days of raw tables with their sources.

    Args:
        assay: The home.
        segments: Configured source → raw tables (without `raw.`) and days of arrival.

    Raises:
        HomeError: As `reconcile`.
    """
    refuse_other_sources(assay.lake, assay.sources)
    return [
        comparison
        for name, of_source in segments.items()
        for comparison in _compare_raw(
            assay, Scope(source=name, segments=frozenset(of_source)), lambda _: None
        )
    ]


def _check(assay: Assay, scope: Scope) -> None:
    names = [config.name for config in assay.sources.configs]
    if scope.source is not None and scope.source not in names:
        raise HomeError(f"expected a source of this home ({', '.join(names)}), found {scope.source!r}")
    if not any(scope.names(table) for table in COMPARED_TABLES):
        raise HomeError(
            f"expected a table that is compared ({', '.join(COMPARED_TABLES)}), found {scope.table!r}"
        )


def _compare_raw(assay: Assay, scope: Scope, say: Callable[[str], None]) -> list[Comparison]:
    if not any(scope.names(table) for table in COMPARED_TABLES if table.startswith("raw.")):
        return []
    found: list[Comparison] = []
    for name, problem in assay.sources.problems.items():
        if scope.source in (None, name):
            found.append(
                Comparison("raw", f"source {name}", name, problem=f"the source cannot be read: {problem}")
            )
    for one in assay.sources.readable:
        if scope.source not in (None, one.config.name):
            continue
        say(f"comparing with source {one.config.name}")
        try:
            with (
                _opened(one, assay.settings.home_path, deep=scope.deep) as source,
                assay.lake.read(assay.lake.snapshot_id()) as con,
            ):
                found += compare_with_source(con, one.config.name, source, scope)
        except SourceError as error:
            problem = f"the source cannot be read: {error}"
            found.append(Comparison("raw", f"source {one.config.name}", one.config.name, problem=problem))
    return found


@contextmanager
def _opened(one: ConfiguredSource, home: Path, *, deep: bool) -> Iterator[Source]:
    if not deep:
        yield one.source
        return
    (home / "tmp").mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="reconcile-", dir=home / "tmp") as cache:
        yield one.config.open(Path(cache))


def _compare_derived(assay: Assay, scope: Scope, say: Callable[[str], None]) -> list[Comparison]:
    if scope.source is not None or not any(scope.names(table) for table in DERIVED_TABLES):
        return []
    say("comparing marts, estimates and the published store")
    with assay.lake.read(assay.lake.snapshot_id()) as con:
        return compare_derived(con, assay, scope.names)


def _repaired(
    assay: Assay, scope: Scope, found: Sequence[Comparison], say: Callable[[str], None]
) -> list[Comparison]:
    """The comparisons with what was done about each that found differing rows."""
    repaired = [
        replace(one, repair=repair_derived(assay, one))
        if not one.is_clean and one.raw_table is None and one.table in DERIVED_TABLES
        else one
        for one in found
    ]
    sources = {one.config.name: one for one in assay.sources.readable}
    differing = [one for one in found if one.differing_rows and one.raw_table]
    differing.sort(key=lambda one: (one.source or "", one.raw_table or ""))
    for name, group in groupby(differing, key=lambda one: one.source or ""):
        of_source = list(group)
        done = _repaired_source(assay, scope, sources[name], of_source, say)
        for one, what in zip(of_source, done, strict=True):
            repaired[repaired.index(one)] = replace(one, repair=what)
    return repaired


def _repaired_source(
    assay: Assay,
    scope: Scope,
    one: ConfiguredSource,
    differing: Sequence[Comparison],
    say: Callable[[str], None],
) -> list[str]:
    """What was done about each; the source is compared once again, after its last table."""
    read: dict[str | None, tuple[list[date], list[date]]] = {}
    failed: dict[str | None, str] = {}
    name = one.config.name
    for table, group in groupby(differing, key=lambda comparison: comparison.raw_table):
        say(f"reading days of raw.{table} again from {name}")
        try:
            read[table] = repair_days(assay, one, list(group))
        except SourceError as error:
            # The days that were marked are read by the next ingestion; the other repairs go on.
            failed[table] = f"the source cannot be read now: {error}"
    any_read = any(days for days, _ in read.values())
    left = _left(assay, replace(scope, source=name), differing, say) if any_read else set()
    return [
        failed[comparison.raw_table]
        if comparison.raw_table in failed
        else _result(*read[comparison.raw_table], left=(comparison.table, comparison.raw_table) in left)
        for comparison in differing
    ]


def _left(
    assay: Assay, scope: Scope, comparisons: Sequence[Comparison], say: Callable[[str], None]
) -> set[tuple[str, str | None]]:
    """Those of the tables compared that still differ; refused rows by the table that they are of."""
    again = _compare_raw(assay, scope, say)
    tables = {(one.table, one.raw_table) for one in comparisons}
    return {key for one in again if (key := (one.table, one.raw_table)) in tables and not one.is_clean}


def _result(read: Sequence[object], unreached: Sequence[object], *, left: bool) -> str:
    parts = [f"{len(read)} days read again" + (", and it still differs" if left else "")] if read else []
    if unreached:
        parts.append(f"{len(unreached)} days stay as they are: the source does not reach them")
    return "; ".join(parts)
