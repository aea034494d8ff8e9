"""The tables of docs/contracts.md and docs/columns.md, written from the declarations.

Here: what the tables of a schema hold, for the first page, and the columns of each, for the second; both put between
their markers. Not here: the prose around them. `python -m ml.tables.document` renews the pages; a test fails when they
are out of date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lake.tables import Table
from ml.tables.registry import TABLES

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "contracts.md"
COLUMNS_PAGE = DOCS / "columns.md"
COMMAND = "python -m ml.tables.document"

_MARKED = re.compile(
    r"<!-- (?P<what>tables|columns): (?P<schema>\w+) -->\n.*?<!-- end of (?P=what) -->", re.DOTALL
)

_SHARED = 10
"""Columns from which the end of a table is not listed again if another table of the schema ends in the same ones."""


def schema_table(schema: str) -> str:
    """The tables of a schema as Markdown: what a row is, key, scope in which rows are replaced."""
    head = ["| table | what it holds | key | replaced |", "|---|---|---|---|"]
    return "\n".join([*head, *map(_row, _tables(schema))])


def schema_columns(schema: str) -> str:
    """The columns of the tables of a schema as Markdown, a heading and a list for each table."""
    tables = _tables(schema)
    return "\n\n".join(_columns(table, tables[:place]) for place, table in enumerate(tables))


def renewed(page: str) -> str:
    """A page with every marked part written again."""

    def written(found: re.Match[str]) -> str:
        what, schema = found["what"], found["schema"]
        text = schema_table(schema) if what == "tables" else schema_columns(schema)
        return f"<!-- {what}: {schema} -->\n{text}\n<!-- end of {what} -->"

    return _MARKED.sub(written, page)


def _tables(schema: str) -> list[Table]:
    return [table for table in TABLES if table.name.startswith(f"{schema}.")]


def _row(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.key) or "one row"
    anchor = table.name.replace(".", "")
    return _line(f"[`{table.name}`]({COLUMNS_PAGE.name}#{anchor})", table.description, key, table.replaced)


def _columns(table: Table, before: Sequence[Table]) -> str:
    """The columns of a table; the end that a table before it has too is named and not repeated."""
    twin, shared = None, 0
    for other in before:
        length = _common_end(table, other)
        if length >= _SHARED and length > shared:
            twin, shared = other, length
    own = table.columns[: len(table.columns) - shared]
    lines = [_line(f"`{c.name}`", c.type + (", not null" if c.required else ""), c.description) for c in own]
    if twin is not None:
        first, last = table.columns[-shared].name, table.columns[-1].name
        lines.append(_line(f"`{first}` … `{last}`", "", f"the last {shared} columns of `{twin.name}`"))
    return "\n".join([f"### {table.name}", "", "| column | type | meaning |", "|---|---|---|", *lines])


def _common_end(one: Table, other: Table) -> int:
    length = 0
    for mine, theirs in zip(reversed(one.columns), reversed(other.columns), strict=False):
        if mine != theirs:
            break
        length += 1
    return length


def _line(*cells: str) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Text that ends no cell and is no HTML; in code spans a `<` stands for itself."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if place % 2 else part.replace("<", "&lt;") for place, part in enumerate(parts))


if __name__ == "__main__":
    for page in (PAGE, COLUMNS_PAGE):
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
