"""Whether two homes of one market and seed are equal: estimates, walk-forward predictions and accuracy, row by row.

    python -m benchmarks.same_estimates HOME_A HOME_B

To the last bit: no tolerance. Exit code 1 when a row differs. Made for a change that must not change any estimate: one
home by the code before it, one by the code after.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import duckdb
import pyarrow as pa
import typer

from lake.config import LakeConfig
from lake.connection import Lake
from lake.errors import LakeError

TABLES = (
    "features.hedonic_index",
    "features.sale_features",
    "features.token_features",
    "predictions.prior_walk_forward",
    "predictions.local_walk_forward",
    "predictions.token_estimates",
    "monitoring.accuracy_report",
)
"""The inputs of the estimates, the estimates, and their accuracy."""
BOOKKEEPING = ("snapshot_id",)
"""Columns that record when a row was written: they differ between any two runs, and are not compared."""


@dataclass(frozen=True)
class Difference:
    """The result of the comparison of one table.

    Attributes:
        table: `schema.table`.
        rows_a, rows_b: Rows of each home.
        only_a, only_b: Rows that the other home does not have.
        columns: Columns that only one home has, or whose values differ.
    """

    table: str
    rows_a: int
    rows_b: int
    only_a: int
    only_b: int
    columns: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the rows and columns of both homes are equal."""
        return not (self.only_a or self.only_b or self.columns)


def compare(home_a: Path, home_b: Path, tables: tuple[str, ...] = TABLES) -> list[Difference]:
    """Each table of both homes, compared row by row; a table that one home does not have is an error.

    Raises:
        LakeError: A folder has no catalog. It is left as it is: opening a lake would make one there.
    """
    for home in (home_a, home_b):
        if not LakeConfig(home=home).catalog_path.exists():
            raise LakeError(
                f"Expected a home with a lake, found no {LakeConfig(home=home).catalog_path}; name a folder that "
                "`assay run --home` has made."
            )
    lakes = [Lake(LakeConfig(home=home)) for home in (home_a, home_b)]
    with lakes[0].read() as a, lakes[1].read() as b:
        return [_compare(table, _rows(a, table), _rows(b, table)) for table in tables]


def _rows(con: duckdb.DuckDBPyConnection, table: str) -> pa.Table:
    names = [row[0] for row in con.execute(f"describe {table}").fetchall()]
    kept = ", ".join(f'"{name}"' for name in names if name not in BOOKKEEPING)
    return con.execute(f"select {kept} from {table}").to_arrow_table()


def _compare(table: str, a: pa.Table, b: pa.Table) -> Difference:
    columns = tuple(sorted(set(a.column_names) ^ set(b.column_names)))
    shared = [f'"{name}"' for name in a.column_names if name in b.column_names]
    with duckdb.connect() as con:
        con.register("a", a)
        con.register("b", b)

        def count(one: str, other: str, names: list[str]) -> int:
            listed = ", ".join(names)
            found = con.execute(
                f"select count(*) from (select {listed} from {one} except all select {listed} from {other})"
            ).fetchone()
            return int(found[0]) if found else 0

        only = count("a", "b", shared), count("b", "a", shared)
        if any(only):
            columns += tuple(name.strip('"') for name in shared if count("a", "b", [name]))
    return Difference(table, a.num_rows, b.num_rows, *only, columns)


def main(
    home_a: Annotated[Path, typer.Argument(help="Home made by the code before.", exists=True)],
    home_b: Annotated[Path, typer.Argument(help="Home made by the code after.", exists=True)],
) -> None:
    """Compare two homes; exit with 1 when they differ."""
    try:
        found = compare(home_a, home_b)
    except LakeError as error:
        raise typer.BadParameter(str(error)) from error
    for one in found:
        outcome = (
            "same"
            if one.same
            else f"{one.only_a} only in A, {one.only_b} only in B: {', '.join(one.columns)}"
        )
        typer.echo(f"{one.table:<36} {one.rows_a:>9,} {one.rows_b:>9,}  {outcome}")
    raise typer.Exit(not all(one.same for one in found))


if __name__ == "__main__":
    typer.run(main)
