"""One table for every command: legible at any width.

Here: how rows are laid out. Not here: what is in them. Text folds and is never cut, so that two names that begin alike
stay two. Where not even the longest word of every column fits, each row becomes lines of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from ml.text.visible import visible


class TerminalTable(Table):
    """A table of rich that folds what does not fit, and lists it where folding would break words."""

    def add_column(self, *arguments: Any, **options: Any) -> None:
        """As rich's; text folds unless it says otherwise."""
        super().add_column(*arguments, **{"overflow": "fold", **options})

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, or its rows as lines when the longest words need more columns than there are."""
        if self.__rich_measure__(console, options.update_width(10_000)).minimum <= options.max_width:
            yield from super().__rich_console__(console, options)
        else:
            yield from self._listed(console)

    def _listed(self, console: Console) -> Iterable[Text]:
        if self.title:
            yield _text(console, self.title)
        headers = [_text(console, column.header).plain.replace("\n", " ") for column in self.columns]
        cells = [[_text(console, cell) for cell in column.cells] for column in self.columns]
        for row in zip(*cells, strict=True):
            yield _folded(row[0])
            for header, cell in zip(headers[1:], row[1:], strict=True):
                if cell.plain:
                    yield _folded(Text.assemble(f"  {header}: " if header else "  ", cell))
        if self.caption:
            yield _text(console, self.caption)


def table_of(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[str] = ()
) -> TerminalTable:
    """A table of plain values.

    Args:
        title: Above it; empty for none.
        columns: Headings.
        rows: Values in the order of the columns; None is a dash.
        numbers: Columns that are aligned to the right.
    """
    table = TerminalTable(title=title or None, title_justify="left")
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left")
    for row in rows:
        table.add_row(*("–" if value is None else visible(str(value)) for value in row))
    return table


def _text(console: Console, shown: Any) -> Text:
    return shown if isinstance(shown, Text) else console.render_str(str(shown))


def _folded(text: Text) -> Text:
    text.overflow = "fold"
    return text
