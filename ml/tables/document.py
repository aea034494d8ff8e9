"""The tables of docs/contracts.md, written from the declarations.

Here: one Markdown table a schema, and putting it between its markers on the page. Not here: the prose around them.
`python -m ml.tables.document` renews the page; a test says when it has to be.
"""

from __future__ import annotations

import re
from pathlib import Path

from lake.tables import Table
from ml.tables.registry import TABLES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "contracts.md"
COMMAND = "python -m ml.tables.document"

_MARKED = re.compile(r"<!-- tables: (?P<schema>\w+) -->\n.*?<!-- end of tables -->", re.DOTALL)


def schema_table(schema: str) -> str:
    """The tables of a schema as Markdown: what a row is, key, scope in which rows are replaced, columns."""
    rows = [_row(table) for table in TABLES if table.name.startswith(f"{schema}.")]
    return "\n".join(["| table | what it holds | key | replaced | columns |", "|---|---|---|---|---|", *rows])


def renewed(page: str) -> str:
    """The page with every marked part written again."""

    def written(found: re.Match[str]) -> str:
        schema = found["schema"]
        return f"<!-- tables: {schema} -->\n{schema_table(schema)}\n<!-- end of tables -->"

    return _MARKED.sub(written, page)


def _row(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.key) or "one row"
    columns = ", ".join(f"`{column.name}`" for column in table.columns)
    cells = (f"`{table.name}`", table.description, key, table.replaced, columns)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
