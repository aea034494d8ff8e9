"""`assay files`: look at a folder of files before anything is done with it.

Here: options and layout. Not here: reading files (`sources.files`). Both commands write nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.text.visible import visible
from orchestration.cli.options import AsJson
from orchestration.output.terminal import TerminalConsole, print_json, say, styled

if TYPE_CHECKING:
    from sources.files.reports import FileReport

files = typer.Typer(help="Look at a folder of files; writes nothing.", no_args_is_help=True)
Directory = Annotated[Path, typer.Argument(help="Folder of files.")]


@files.command()
def check(directory: Directory, as_json: AsJson = False) -> None:
    """Read everything and print what each file is, which column became what, and what is left out and why.

    Exit codes: 0 sales can be used · 1 not one sale can be used · 2 no such folder.
    """
    from dataclasses import asdict

    from sources.files.source import FilesSource

    source = FilesSource(directory)
    reports = source.inventory()
    if as_json:
        print_json({"files": [asdict(report) for report in reports]})
    else:
        console = TerminalConsole(width_of_files=120)
        for report in reports:
            _print(console, report)
        tables = source.everything()
        for name, table in tables.items():
            if table.rows.num_rows or table.rejected.num_rows:
                say(f"{name}: {table.rows.num_rows:,} rows, {table.rejected.num_rows:,} refused")
        for row in tables["sales"].rejected.slice(0, 5).to_pylist():
            lines = f"{row['source_row']}: {row['reason']}, expected {row['expected']}, found {row['found']}"
            say(f"  {visible(lines)}")
    source.first_known()


@files.command("map")
def propose(directory: Directory, rows: Annotated[int, typer.Option(help="Rows to show.")] = 10) -> None:
    """Propose a mapping file (assay.yaml) from what is there, and show the first rows as they would be read.

    Exit codes: 0 shown · 2 no such folder.
    """
    import yaml

    from sources.files.source import FilesSource

    source = FilesSource(directory)
    text: dict[str, object] = {}
    for report in source.inventory():
        if report.table is None:
            text[report.file] = "ignore"
        else:
            text[report.file] = {"table": report.table, "columns": report.columns}
    say("# assay.yaml: correct it and put it beside the files")
    say(yaml.safe_dump({"files": text}, sort_keys=False, allow_unicode=True).rstrip())
    shown = (
        "collection",
        "token_id",
        "event_time",
        "price_native",
        "currency",
        "buyer",
        "seller",
        "source_row",
    )
    for row in source.everything()["sales"].rows.select(list(shown)).slice(0, rows).to_pylist():
        say("# " + visible(" · ".join("–" if row[c] is None else str(row[c]) for c in shown)))


def _print(console: TerminalConsole, report: FileReport) -> None:
    console.print(styled((visible(report.file), "bold")))
    if report.table is None or report.note:
        console.print(
            styled(f"  {'left out' if report.table is None else 'cannot be used'}: {visible(report.note)}")
        )
        return
    refused = ", ".join(f"{reason} {n:,}" for reason, n in report.reasons.items())
    counts = f"{report.rows or 0:,} rows, {report.emitted:,} kept, {report.rejected:,} refused"
    console.print(styled(f"  {visible(report.kind)}: {counts}{f' ({refused})' if refused else ''}"))
    console.print(styled("  columns: " + visible(", ".join(f"{c} → {r}" for r, c in report.columns.items()))))
    if report.unused:
        console.print(styled("  not used: " + visible(", ".join(report.unused))))
    for note in report.notes:
        console.print(styled(f"  {visible(note)}"))
