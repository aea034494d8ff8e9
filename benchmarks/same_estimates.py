"""Whether two homes of one market and seed say the same: estimates, walk-forward predictions and accuracy, row by row.

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

TABLES = (
    "features.hedonic_index",
    "features.sale_features",
    "features.token_features",
    "predictions.prior_walk_forward",
    "predictions.local_walk_forward",
    "predictions.token_estimates",
    "monitoring.accuracy_report",
)
"""What an estimate comes from, the estimates, and how right they were."""
BOOKKEEPING = ("snapshot_id", "run_id", "computed_at", "made_at", "updated_at")
"""When a row came to be, which two runs differ in."""


@dataclass(frozen=True)
class Difference:
    """What two homes say differently in one table."""

    table: str
    rows_a: int
    rows_b: int
    only_a: int
    only_b: int
    columns: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Nothing, that is."""
        return not (self.only_a or self.only_b or self.columns)


def compare(home_a: Path, home_b: Path, tables: tuple[str, ...] = TABLES) -> list[Difference]:
    """Each table of both homes, compared row by row; a table that one home does not have is an error."""
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
    found = compare(home_a, home_b)
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
