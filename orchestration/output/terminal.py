"""What is printed on a terminal: no markup in a name, no control character out of it, no secret.

Here: the console, lines, JSON, tracebacks and the log's last resort of the command line. Not here: layouts
(`orchestration.cli.report`, `orchestration.cli.render.explanation`, `orchestration.slo.report`, `orchestration.cli`).
Styles are given as `rich.text.Text`, never as markup inside a string.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from ml.text.finite import finite
from ml.text.visible import visible
from orchestration.clock import naive_utc
from orchestration.output.masking import masked


def terminal_text(text: str) -> str:
    """One or more lines of ours, with whatever names are in them, as they may be printed."""
    return visible(masked(text), lines=True)


def styled(*parts: str | tuple[str, str]) -> Text:
    """A line of plain and styled parts, as in `styled(("assay", "bold"), " · ", name)`."""
    return Text.assemble(
        *(terminal_text(p) if isinstance(p, str) else (terminal_text(p[0]), p[1]) for p in parts)
    )


class TerminalConsole(Console):
    """A console that shows strings as they are: `[/]` is a name and not the end of a style."""

    def __init__(self, *, width_of_files: int | None = None, **options: Any) -> None:
        """Make a console.

        Args:
            width_of_files: Columns when the output is neither a terminal nor `COLUMNS` says how wide it is.
            options: Those of `rich.console.Console`.
        """
        if width_of_files is not None and not sys.stdout.isatty() and "COLUMNS" not in os.environ:
            options.setdefault("width", width_of_files)
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Every string that is printed comes through here, from tables too."""
        return super().render_str(terminal_text(text), **options)


def say(text: str) -> None:
    """A line on standard output."""
    typer.echo(terminal_text(text))


def complain(text: str) -> None:
    """A line on standard error."""
    typer.echo(terminal_text(text), err=True)


def as_plain(record: Any) -> dict[str, Any]:
    """A dataclass as plain types; times as `json_time`.

    Raises:
        TypeError: It holds something else.
    """
    return dict(json.loads(json.dumps(asdict(record), default=json_time)))


def json_time(value: date) -> str:
    """A time of the lake, naive UTC, as every document writes it: 2026-01-01T00:00:00Z; a day as 2026-01-01.

    Raises:
        TypeError: It is no time.
    """
    if isinstance(value, datetime):
        return f"{naive_utc(value).isoformat()}Z"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"expected a time, found {type(value).__name__}")


def print_json(document: Any) -> None:
    """A document on standard output, in ASCII: any name survives, and none controls the terminal.

    Times are ISO 8601 with Z, a number that is none is null; what JSON has no form for, such as a path, is its text.
    """
    json.dump(finite(document), sys.stdout, indent=2, default=_plain, allow_nan=False)
    sys.stdout.write("\n")


def json_text(value: Any) -> str:
    """A list or a mapping in one line, for a cell of a table; as `print_json`, with every letter as it is."""
    return json.dumps(finite(value), ensure_ascii=False, default=_plain, allow_nan=False)


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return json_time(value) if isinstance(value, date) else str(value)


def print_traceback(error: BaseException) -> None:
    """An unexpected error, with everything a developer needs and no secret."""
    complain("".join(traceback.format_exception(error)).rstrip())


class TidyFormatter(logging.Formatter):
    """A log line, and the traceback that belongs to it, as they may be printed."""

    def format(self, record: logging.LogRecord) -> str:
        """Mask and make visible after the arguments and the traceback are in."""
        return terminal_text(super().format(record))


def tidy_logging() -> None:
    """Let warnings that no logger handles pass through here too."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(TidyFormatter())
