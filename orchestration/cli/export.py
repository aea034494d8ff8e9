"""`assay export`: a table of the lake as one file. Here: options, and writing it whole. Not here: the tables."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.text.visible import visible
from orchestration.cli.opened import open_home, require_folder_for
from orchestration.cli.options import Home
from orchestration.output.csv_rows import write_rows
from orchestration.output.terminal import say
from orchestration.settings import SettingsError

if TYPE_CHECKING:
    import duckdb

ENDINGS = (".parquet", ".csv")


def export(
    table: Annotated[str, typer.Argument(help="Table, such as predictions.token_estimates.")],
    to: Annotated[Path, typer.Option("--to", help="File that ends in .parquet or .csv.")],
    replace: Annotated[bool, typer.Option("--replace", help="Write over a file that is there.")] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="CSV: text as it is; a spreadsheet may run what begins with =.")
    ] = False,
    snapshot: Annotated[int | None, typer.Option(min=0, help="The table as it was at this snapshot.")] = None,
    home: Home = None,
) -> None:
    """Write a table of the lake to a Parquet or CSV file, all of it or nothing.

    Every table and column: docs/columns.md. Exit codes: 0 written · 2 no such table, or the file cannot be written.
    """
    if to.suffix.lower() not in ENDINGS:
        raise SettingsError(f"--to: expected a file that ends in {' or '.join(ENDINGS)}, found {to}")
    require_folder_for(to, "--to")
    if to.exists() and not replace:
        raise SettingsError(f"--to: {to} is there already; --replace writes over it")
    settings = open_home(home)
    from orchestration.resources import open_lake

    lake = open_lake(settings)
    partial = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        with lake.read(snapshot) as con:
            _require_table(con, table)
            to.parent.mkdir(parents=True, exist_ok=True)
            rows = _write(con, table, partial, to.suffix.lower(), exact)
        # A reader sees the old file or the new one.
        partial.replace(to)
    except OSError as error:
        raise SettingsError(f"--to: {to} cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)
    say(f"{rows:,} rows of {table} in {to}")


def _write(con: duckdb.DuckDBPyConnection, table: str, partial: Path, ending: str, exact: bool) -> int:
    schema, _, name = table.partition(".")
    source = f'from "{schema}"."{name}"'
    if ending == ".parquet":
        import duckdb

        from lake.storage import quoted

        try:
            row = con.execute(f"copy ({source}) to {quoted(str(partial))} (format parquet)").fetchone()
        except duckdb.IOException as error:
            if partial.name not in str(error):
                raise  # a file of the lake
            raise SettingsError(
                f"--to: {partial.parent} cannot be written ({str(error).splitlines()[0]})"
            ) from error
        return int(row[0]) if row else 0
    con.execute(source)
    columns = [column[0] for column in con.description or ()]
    with partial.open("w", newline="", encoding="utf-8") as file:
        return write_rows(file, columns, iter(con.fetchone, None), exact=exact)


def _require_table(con: duckdb.DuckDBPyConnection, table: str) -> None:
    rows = con.execute(
        "select schema_name || '.' || table_name from duckdb_tables() where database_name = current_database() "
        "union select schema_name || '.' || view_name from duckdb_views() where database_name = current_database()"
    ).fetchall()
    known = sorted(row[0] for row in rows)
    if table not in known:
        close = difflib.get_close_matches(table, known, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(close)}?" if close else "docs/columns.md lists them"
        raise SettingsError(f"there is no table {visible(table)} in this home; {hint}")
