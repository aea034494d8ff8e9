"""`assay sources`: the sources of a home.

Here: options and layout. Not here: the list (`ingestion.listed`), and what it says of each (`ingestion.configured`).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ml.text.times import utc_minute
from ml.text.visible import visible
from orchestration.cli.options import AsJson, DataDir, Home, pair
from orchestration.output.tables import TerminalTable
from orchestration.output.terminal import TerminalConsole, print_json, say, styled
from orchestration.settings import SettingsError, load_settings

sources = typer.Typer(help="The sources of a home: list, add, remove.", invoke_without_command=True)
Name = Annotated[str, typer.Argument(help="Name of the source in this home.")]


@sources.callback()
def listed(context: typer.Context, home: Home = None, as_json: AsJson = False) -> None:
    """List the sources: what each has delivered, until when, and what is wrong with it."""
    if context.invoked_subcommand:
        return
    from orchestration.home import existing_home
    from orchestration.ingestion.configured import describe_sources
    from orchestration.resources import open_lake

    settings = load_settings(home=home)
    existing_home(settings)
    rows = describe_sources(open_lake(settings), settings.source_configs)
    if as_json:
        print_json({"sources": rows})
    else:
        _print(rows)


@sources.command()
def add(
    name: Name,
    kind: Annotated[
        str,
        typer.Option(help="files, simulator, ethereum, opensea, listings_api, coingecko or candles."),
    ] = "files",
    data_dir: DataDir = None,
    priority: Annotated[int, typer.Option(help="1 is preferred: its report of a sale counts.")] = 1,
    fresh_within_h: Annotated[
        float | None, typer.Option(help="Hours it may be behind the newest source.")
    ] = None,
    quarantine_limit: Annotated[
        float | None, typer.Option(help="Share of its rows that may be refused.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="name=value: another setting of its kind, such as chain=polygon.")
    ] = None,
    home: Home = None,
) -> None:
    """Add a source to a home. The next `assay run` reads it.

    Exit codes: 0 added · 2 it cannot be added.
    """
    from orchestration.ingestion.listed import add_source

    own = {
        "name": name,
        "kind": kind,
        "priority": priority,
        "fresh_within_h": fresh_within_h,
        "quarantine_limit": quarantine_limit,
        "data_dir": data_dir.expanduser().resolve() if data_dir else None,
    }
    options = dict(pair("--option", "name=value", text) for text in option or ())
    if repeated := sorted(options.keys() & own.keys()):
        raise SettingsError(f"--option {repeated[0]}=… has a way of its own: see `assay sources add --help`")
    entry: dict[str, Any] = {**{k: v for k, v in own.items() if v is not None}, **options}
    path = add_source(load_settings(home=home), entry, say)
    say(f"{name} is in {path}; `assay run` reads it")


@sources.command()
def remove(name: Name, home: Home = None) -> None:
    """Take a source and all its rows out of a home. The next `assay run` values the tokens without it.

    Exit codes: 0 removed · 2 there is no such source, or it is the only one.
    """
    from orchestration.ingestion.listed import remove_source

    removed = remove_source(load_settings(home=home), name, say)
    rows = ", ".join(f"{n:,} of {table}" for table, n in removed.items() if n)
    say(f"{name} is removed: {rows or 'it had no rows'}; `assay run` values the tokens without it")


def _print(rows: list[dict[str, Any]]) -> None:
    table = TerminalTable(title="Sources, the preferred first", title_justify="left")
    for column in ("source", "kind", "priority", "known until", "rows", "refused", "state"):
        right = column in ("priority", "rows", "refused")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in rows:
        until = row["watermark"]
        table.add_row(
            visible(row["name"]),
            row["kind"],
            str(row["priority"]),
            utc_minute(until) if until else "–",
            f"{row['rows']:,}",
            f"{100 * row['refused_share']:.2f} %",
            row["state"],
        )
    console = TerminalConsole(width_of_files=118)
    console.print(table)
    for row in rows:
        if row["problem"]:
            console.print(styled(f"{row['name']}: {visible(row['problem'])}"))
