"""`assay list`: what is in a home. Here: options, filters and the table. Not here: any computing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml.text.times import utc_minute
from orchestration.cli.opened import open_home
from orchestration.cli.options import AsJson, Home
from orchestration.output.tables import table_of
from orchestration.output.terminal import TerminalConsole, print_json
from orchestration.settings import SettingsError

if TYPE_CHECKING:
    import duckdb


class What(StrEnum):
    """What is listed."""

    collections = "collections"
    tokens = "tokens"
    models = "models"


@dataclass(frozen=True)
class Listing:
    """A list: its query, the column it is sorted by unless another is named, and whether that is from the top."""

    query: str
    sorted_by: str
    descending: bool = False


LISTINGS = {
    What.collections: Listing(
        """
        select c.collection, c.chain, c.tokens, c.n_arms_length as sales, c.last_sale_at, e.tier, e.median_eth,
            e.lowest_ask_eth
        from marts.dim_collections as c left join (
            select collection, mode(tier) as tier, median(estimate_eth) as median_eth,
                min(lowest_ask_eth) as lowest_ask_eth
            from predictions.token_estimates group by 1
        ) as e using (collection)
        """,
        "collection",
    ),
    What.tokens: Listing(
        """
        select collection, token_id, estimate_eth, lower_80_eth, upper_80_eth, grade, tier, last_sale_eth, as_of
        from predictions.token_estimates
        """,
        "estimate_eth",
        descending=True,
    ),
    What.models: Listing(
        """
        select collection, version, tier, prior_version, weight, trained_until, previous_version from ops.champions
        """,
        "collection",
    ),
}

_CONDITION = re.compile(r"\s*([a-z_0-9]+)\s*(!=|>=|<=|=|>|<|~)(.*)", re.DOTALL)


def list_(
    what: Annotated[What, typer.Argument(help="collections, tokens or models.")],
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", help="COLUMN=TEXT; also !=, <, <=, >, >=, and ~ for a part. Several: all hold."
        ),
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="Column; with a - in front from the top, as in -sales.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List collections, tokens or models of a home, filtered and sorted.

    Exit codes: 0 listed, also when nothing fits · 2 no such column, or a value of another kind.
    """
    settings = open_home(home)
    from orchestration.resources import open_lake

    with open_lake(settings).read() as con:
        columns, rows, total = read_listing(con, LISTINGS[what], where or [], sort, limit)
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    console = TerminalConsole(width_of_files=140)
    numbers = [
        name for place, name in enumerate(columns) if any(isinstance(row[place], int | float) for row in rows)
    ]
    headings = [name.replace("_", " ") for name in columns]
    shown = [[_text(value) for value in row] for row in rows]
    console.print(
        table_of(what.title(), headings, shown, numbers=[name.replace("_", " ") for name in numbers])
    )
    console.print(f"{len(rows):,} of {total:,}" + ("; --limit shows more" if total > len(rows) else ""))


def read_listing(
    con: duckdb.DuckDBPyConnection, listing: Listing, where: list[str], sort: str | None, limit: int
) -> tuple[list[str], list[tuple[Any, ...]], int]:
    """Column names, rows, and how many rows there are without the limit.

    Raises:
        SettingsError: A condition or the sort names no column, or a value is of another kind.
    """
    import duckdb

    from lake.bound import execute_bound

    kinds = {name: kind for name, kind, *_ in con.execute(f"describe {listing.query}").fetchall()}
    conditions, values = ["true"], {}
    for number, text in enumerate(where):
        found = _CONDITION.fullmatch(text)
        if found is None:
            raise SettingsError(
                f"--filter: expected a condition such as tier=pooled or sales>100, found {text!r}"
            )
        name, operator, value = found[1], found[2], found[3]
        _require_column(name, kinds, "--filter")
        values[f"v{number}"] = value.strip()
        conditions.append(
            f"contains(lower({name}::varchar), lower($v{number}))"
            if operator == "~"
            else f"{name} {operator} cast($v{number} as {kinds[name]})"
        )
    given = sort if sort is not None else f"{'-' if listing.descending else ''}{listing.sorted_by}"
    name = given.removeprefix("-")
    _require_column(name, kinds, "--sort")
    order = f"{name} {'desc' if given.startswith('-') else 'asc'} nulls last, 1, 2"
    filtered = f"from ({listing.query}) where {' and '.join(conditions)}"
    try:
        (total,) = execute_bound(con, f"select count(*) {filtered}", values).fetchone() or (0,)
        rows = execute_bound(con, f"{filtered} order by {order} limit {limit}", values)
    except duckdb.ConversionException as error:
        first = str(error).splitlines()[0]
        raise SettingsError(f"--filter: a value is of another kind than its column ({first})") from error
    return list(kinds), rows.fetchall(), total


def _require_column(name: str, kinds: dict[str, str], option: str) -> None:
    if name not in kinds:
        raise SettingsError(f"{option}: expected a column ({', '.join(kinds)}), found {name!r}")


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_minute(value)
    return f"{value:.4g}" if isinstance(value, float) else value
