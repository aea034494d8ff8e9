"""`assay sql`: a question to the lake. Here: options, output. Not here: what a question may do (`lake.questions`)."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated, Any

import typer

from ml.text.times import utc_second
from orchestration.cli.opened import open_home
from orchestration.cli.options import AsJson, Home
from orchestration.output.csv_rows import write_rows
from orchestration.output.tables import table_of
from orchestration.output.terminal import TerminalConsole, json_text, print_json
from orchestration.settings import SettingsError

SHOWN = 100
"""Rows of the printed table; --json and --csv have all."""


def sql(
    question: Annotated[str, typer.Argument(help="One statement that selects; nothing can be changed.")],
    snapshot: Annotated[
        int | None, typer.Option(min=0, help="The lake as it was at this snapshot; default: now.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write every row as CSV on standard output.")] = False,
) -> None:
    """Answer a question in SQL (DuckDB's) from the lake, and change nothing: neither the lake nor any other file.

    Every table and column: docs/columns.md. Exit codes: 0 answered · 2 not a question, or it cannot be answered.
    """
    if as_json and as_csv:
        raise SettingsError("expected --json or --csv, found both")
    settings = open_home(home)
    from lake.questions import asked
    from orchestration.resources import open_lake

    with asked(open_lake(settings), question, snapshot) as con:
        columns = [column[0] for column in con.description or ()]
        if as_csv:
            write_rows(sys.stdout, columns, iter(con.fetchone, None))
        elif as_json:
            print_json([dict(zip(columns, row, strict=True)) for row in con.fetchall()])
        else:
            rows = con.fetchmany(SHOWN + 1)
            _print(columns, rows)


def _print(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    console = TerminalConsole(width_of_files=160)
    numbers = [
        name
        for place, name in enumerate(columns)
        if any(isinstance(row[place], int | float) and not isinstance(row[place], bool) for row in rows)
    ]
    shown = [[_text(value) for value in row] for row in rows[:SHOWN]]
    console.print(table_of("", columns, shown, numbers=numbers))
    if len(rows) > SHOWN:
        console.print(f"… and more than these {SHOWN} rows; --csv and --json have all")


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_second(value)
    if isinstance(value, list | dict):
        return json_text(value)
    return f"{value:.6g}" if isinstance(value, float) else value
