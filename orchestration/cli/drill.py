"""`assay drill`: a fault on a scratch home, from injection to recovery.

Here: options and layout. Not here: any drill (`orchestration.reliability.drills`).
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.text.times import utc_minute
from orchestration.cli.options import AsJson
from orchestration.output.tables import table_of
from orchestration.output.terminal import TerminalConsole, complain, print_json, styled
from orchestration.settings import SettingsError

if TYPE_CHECKING:
    from orchestration.reliability.drills.timeline import DrillResult


def drill(
    names: Annotated[
        list[str] | None, typer.Argument(help="Drills to run, one after the other; all of them: all.")
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="List the drills.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the scratch homes and print their paths.")
    ] = False,
    market: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps the market before the fault, to be used again by later drills."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Inject a fault into a scratch home and check that it is detected, alerted, handled and over.

    Exit codes: 0 every expectation held · 1 one did not · 2 no such drill.
    """
    from orchestration.reliability.drills.catalogue import DRILLS, drill_of

    if list_them:
        rows = [(one.name, one.shows) for one in DRILLS]
        if as_json:
            print_json([{"name": name, "shows": shows} for name, shows in rows])
        else:
            TerminalConsole(width_of_files=140).print(table_of("Drills", ("drill", "what it shows"), rows))
        return
    if not names:
        raise SettingsError("drill expects a name, several, or all; `assay drill --list` lists them")
    chosen = list(DRILLS) if names == ["all"] else [drill_of(name) for name in names]
    scratch = Path(tempfile.mkdtemp(prefix="assay-drill-"))
    try:
        from orchestration.reliability.drills.run import run_drill

        markets = (market or scratch / "markets").resolve()
        results = [run_drill(one, markets, scratch / one.name, say=complain) for one in chosen]
    finally:
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)
    if as_json:
        print_json([result.to_json() for result in results])
    else:
        for result in results:
            _print(result, keep=keep)
    raise typer.Exit(0 if all(result.passed for result in results) else 1)


def _print(result: DrillResult, *, keep: bool) -> None:
    from orchestration.output.tables import TerminalTable

    console = TerminalConsole(width_of_files=140)
    table = TerminalTable(title=f"{result.name}: {result.shows}", title_justify="left")
    for column in ("step", "as of", "lag", "what"):
        table.add_column(column)
    for moment in result.moments:
        table.add_row(moment.step, utc_minute(moment.at), _lag(moment.lag), moment.what)
    console.print(table)
    _print_expectations(console, result)
    where = f" · home kept in {result.home}" if keep else ""
    verdict = ("every expectation held", "green") if result.passed else ("not every expectation held", "red")
    console.print(styled(verdict, f" · passes took {result.seconds:.0f} s{where}\n"))


def _print_expectations(console: TerminalConsole, result: DrillResult) -> None:
    for expectation in result.expectations:
        mark = ("✓", "green") if expectation.held else ("✗", "red")
        console.print(styled(mark, f" {expectation.what}: {expectation.found}"))


def _lag(lag: timedelta | None) -> str:
    if lag is None:
        return ""
    hours = lag / timedelta(hours=1)
    return f"{lag / timedelta(minutes=1):.0f} min" if hours < 2 else f"{hours:.0f} h"
