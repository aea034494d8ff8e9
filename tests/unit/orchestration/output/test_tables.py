"""A table is legible at any width: names stay whole or fold, and are never cut to twins."""

import io
import re

import pytest
from rich.cells import cell_len

from orchestration.output.tables import table_of
from orchestration.output.terminal import TerminalConsole, styled
from tests.names import HOSTILE

NAMES = ["collection-of-cats-a", "collection-of-cats-b", "漢" * 120, "[/bold]", "$1 club"]


def _printed(width, rows, columns=("collection", "sales", "median ETH", "state of the model"), **options):
    shown = io.StringIO()
    console = TerminalConsole(file=shown, width=width, **options)
    console.print(table_of("Collections", columns, rows, numbers=("sales",)))
    return shown.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_too_wide_and_no_name_is_cut(width):
    shown = _printed(width, [(name, 12, 0.5, "pooled") for name in NAMES])
    assert all(cell_len(line.rstrip()) <= width for line in shown.splitlines())
    assert "…" not in shown
    # Folded text is in several lines of one column: what is left without frames and spaces is every name, whole.
    letters = "".join(c for c in shown if c not in "│┃ \n")
    assert letters.count("漢") == 120
    for name in ("[/bold]", "$1club"):
        assert name in letters


def test_where_the_longest_words_do_not_fit_each_row_is_lines():
    shown = _printed(30, [(NAMES[0], 12, None, "pooled"), (NAMES[1], 1, 0.5, "own_model")])
    assert shown.splitlines()[1:4] == [NAMES[0], "  sales: 12", "  median ETH: –"]
    assert NAMES[1] in shown


def test_a_table_without_rows_is_its_header():
    assert "collection" in _printed(80, [])


def test_without_a_terminal_there_is_no_colour(monkeypatch):
    assert "\x1b" not in _printed(80, [(name, 1, 1, "x") for name in HOSTILE])
    for setting, is_coloured in ((None, True), ("1", False)):
        if setting is not None:
            monkeypatch.setenv("NO_COLOR", setting)
        shown = io.StringIO()
        console = TerminalConsole(file=shown, force_terminal=True, color_system="standard")
        console.print(styled(("a", "red")))
        assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]", shown.getvalue())) == is_coloured


def test_columns_is_obeyed_without_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "66")
    assert TerminalConsole(width_of_files=120).width == 66
    monkeypatch.delenv("COLUMNS")
    assert TerminalConsole(width_of_files=120).width == 120
