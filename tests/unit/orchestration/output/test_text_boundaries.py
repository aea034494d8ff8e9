"""A name is shown literally, without any effect, wherever it is printed or written."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import re
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from rich.panel import Panel
from rich.table import Table

from ml.text.file_name import safe_file_name
from ml.text.markdown import markdown_prose, markdown_table, markdown_text
from ml.text.plot import plot_text
from ml.text.spreadsheet import spreadsheet_cell
from ml.text.visible import visible
from orchestration.alerts.keys import incident_key
from orchestration.alerts.outbox import Alert
from orchestration.output.commands import assay_command
from orchestration.output.csv_rows import write_mappings
from orchestration.output.terminal import TerminalConsole, TidyFormatter, styled
from orchestration.partitions import collection_key, collection_of
from orchestration.states import Severity
from tests.names import HOSTILE, names

CONTROL = re.compile(
    "[" + "".join(re.escape(chr(c)) for c in range(0x3000) if unicodedata.category(chr(c)) in ("Cc", "Cf", "Zl", "Zp"))
    .replace("\u200c", "").replace("\u200d", "") + "]"
)  # fmt: skip


@given(names)
def test_no_character_of_a_line_controls_the_terminal(name: str) -> None:
    assert not CONTROL.search(visible(name))
    assert not CONTROL.search(visible(name, lines=True).replace("\n", "").replace("\t", ""))
    assert visible(visible(name)) == visible(name)


@given(st.text("abcäß猫🐒👨‍👩‍👧 #-_'!?.,0123456789", min_size=1))
def test_an_ordinary_name_is_shown_as_it_is(name: str) -> None:
    assert visible(name) == name


@given(names | st.text("=+-@|%\t\r\n \u00a0\ufeff\u200b＝＋－＠1A(!)'\"", min_size=1, max_size=12))
def test_no_cell_of_a_csv_file_is_a_formula_or_acts(name: str) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        write_mappings(sys.stdout, [{"collection": name, "gain": -3}])
    (row,) = csv.DictReader(io.StringIO(printed.getvalue()))
    cell = row["collection"]
    assert unicodedata.normalize("NFKC", cell).strip()[:1] not in {*"=+-@|%"}
    assert not CONTROL.search(printed.getvalue().replace("\n", ""))
    assert row["gain"] == "-3", "a number is no formula"
    assert cell.removeprefix("'") == visible(name).removeprefix("'")


@pytest.mark.parametrize("name", ["Cool Cats", "0x12ab", "猫 #7", "Bob's = best", "100% Gang"])
def test_an_ordinary_cell_is_written_as_it_is(name: str) -> None:
    assert spreadsheet_cell(name) == name


@settings(max_examples=60, deadline=None)
@given(names)
def test_a_picture_shows_the_name_and_no_mathematics(name: str) -> None:
    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    axes.set_title(plot_text(name))
    axes.plot([1, 2], [1, 2], label=plot_text(name, 28))
    legend = axes.legend()
    figure.savefig(io.BytesIO(), format="svg")
    (label,) = legend.get_texts()
    text, is_mathematics = label._preprocess_math(label.get_text())  # type: ignore[attr-defined]
    assert not is_mathematics
    if len(visible(name)) <= 28:
        assert text.removeprefix(" ") == visible(name).removeprefix(" ")


@given(names)
def test_markdown_shows_the_name_literally(name: str) -> None:
    shown = _text_of(MarkdownIt("js-default").render(f"- {markdown_text(name)} ."))
    assert shown.split() == f"{visible(name)} .".split()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<collection>@<version>; @0 without one", "<collection>@<version>; @0 without one"),
        ("under `(pooled prior) <market>` & more", "under (pooled prior) <market> & more"),
        ("`index <market>` or <b>no</b>, a < b > c", "index <market> or <b>no</b>, a < b > c"),
        ("one ` alone, <x>", "one ` alone, <x>"),
        ("", ""),
    ],
)
def test_a_description_keeps_its_angle_brackets_and_its_code(written: str, shown: str) -> None:
    page = MarkdownIt("js-default").render(markdown_prose(written))
    assert _text_of(page, frozenset({"p", "code"})).strip() == shown


@given(st.lists(names, min_size=1, max_size=3))
def test_a_markdown_table_has_a_row_for_each_name(found: list[str]) -> None:
    table = markdown_table(pd.DataFrame({"name": found, "n": range(len(found))}))
    page = MarkdownIt("js-default").render(table)
    assert page.count("<tr>") == len(found) + 1
    assert page.count("<td") == 2 * len(found)
    assert "<script" not in page


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = ""
        self.tags: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found += data

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the base class's
        self.tags.append(tag)


def _text_of(page: str, tags: frozenset[str] = frozenset({"ul", "li"})) -> str:
    reader = _Text()
    reader.feed(page)
    assert set(reader.tags) <= tags, f"the name has become markup: {page}"
    return reader.found


@given(st.lists(names, min_size=2, max_size=6, unique=True))
def test_every_name_has_a_short_file_name_of_its_own(found: list[str]) -> None:
    files = [safe_file_name(name) for name in found]
    assert len({file.lower() for file in files}) == len(found)
    for file in files:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*|[_-][A-Za-z0-9_-]+", file)
        assert len(file.encode()) <= 100


def test_a_plain_name_is_its_own_file_name_and_of_no_other() -> None:
    assert safe_file_name("sim-00004") == "sim-00004"
    forged = safe_file_name("A B")
    assert safe_file_name(forged) != forged, "a name must not be able to take the folder of another"


@given(names)
def test_the_terminal_gets_no_control_character_and_no_markup(name: str) -> None:
    out = io.StringIO()
    console = TerminalConsole(file=out, width=2000)
    table = Table(name, title=name, caption=name)
    table.add_row(name)
    for shown in (name, styled((name, "bold")), table, Panel("x", title=styled(visible(name)))):
        console.print(shown)
    printed = out.getvalue()
    assert not CONTROL.search(printed.replace("\n", ""))
    if not name.isspace() and "\n" not in name and "\t" not in name:
        assert visible(name).strip() in printed


def test_a_log_line_and_its_traceback_are_shown_literally() -> None:
    try:
        raise ValueError("esc \x1b[2J")  # noqa: TRY301 - its traceback is what is tested
    except ValueError as error:
        record = logging.LogRecord(
            "x", 30, "f", 1, "%s", ("\x1b[31m",), (type(error), error, error.__traceback__)
        )
    line = TidyFormatter().format(record)
    assert "\x1b" not in line
    assert "\\x1b[2J" in line


@pytest.mark.parametrize("name", HOSTILE)
def test_a_command_means_the_name_in_a_shell(name: str, tmp_path) -> None:
    command = assay_command("retrain", name, "other", reason="it's why")
    assert not CONTROL.search(command)
    done = subprocess.run(
        ["bash", "-c", f"assay() {{ printf '%s\\0' \"$@\"; }}; {command}"],
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    words = done.stdout.decode().split("\0")[:-1]
    assert words[0] == "retrain"
    assert {name, "other", "--reason", "it's why"} <= set(words)
    assert list(tmp_path.iterdir()) == []


@given(names)
def test_a_partition_key_is_one_that_dagster_takes_and_gives_the_name_back(name: str) -> None:
    from dagster._core.definitions.partitions.utils.base import INVALID_PARTITION_SUBSTRINGS

    key = collection_key(name)
    assert not any(text in key for text in INVALID_PARTITION_SUBSTRINGS)
    assert collection_of(key) == name


@given(names, names)
def test_an_alert_can_be_printed_and_two_names_are_two_incidents(name: str, other: str) -> None:
    alert = Alert(
        incident_key("drift", name),
        Severity.TICKET,
        f"{visible(name)} drifted",
        name,
        "drift",
        assay_command("why", name),
    )
    for text in (alert.key, alert.title, alert.command, alert.body.replace("\n", "").replace("\t", "")):
        assert not CONTROL.search(text)
    assert (incident_key("drift", name) == incident_key("drift", other)) == (name == other)
