"""How far a run is, on a terminal and without one."""

import os
import pty
import re
import selectors

import pytest

from orchestration.output.parts import PartsDone, listening, report_parts
from orchestration.output.progress import SPARSE_S, ProgressPrinter, _notify
from orchestration.states import StepState


@pytest.mark.parametrize(
    ("done", "elapsed_s", "words"),
    [
        (0, 100, "0 of 60 days"),
        (15, 1.9, "15 of 60 days"),
        (15, 2, "15 of 60 days, about 6 s left"),
        (15, 10, "15 of 60 days, about 30 s left"),
        (1, 10, "1 of 60 days, about 10 min left"),
        (1, 200, "1 of 60 days, about 3 h left"),
        (60, 100, "60 of 60 days"),
        (61, 100, "61 of 60 days"),
    ],
)
def test_the_time_left_is_that_of_the_same_pace(done, elapsed_s, words):
    assert PartsDone("days", done, 60).in_words(elapsed_s) == words


def test_without_a_terminal_a_long_step_reports_sparsely(capfd):
    now = [0.0]
    with ProgressPrinter(clock=lambda: now[0]):
        _notify(StepState.STARTED, "raw_events", 0)
        for day in range(1, 101):
            now[0] += 1
            report_parts("days of [/bold]", day, 100)
        _notify(StepState.DONE, "raw_events", 100.0)
        _notify(StepState.STARTED, "marts", 0)
        report_parts("models", 1, 2)
    report_parts("models", 2, 2)
    out, err = capfd.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[:-1] == [
        "  ingest: raw_events, 30 of 100 days of [/bold], about 70 s left",
        "  ingest: raw_events, 60 of 100 days of [/bold], about 40 s left",
        "  ingest: raw_events, 90 of 100 days of [/bold], about 10 s left",
    ]
    assert re.fullmatch(r"✓ ingest +raw_events +100\.0 s", lines[-1])
    assert SPARSE_S == 30


def test_on_a_terminal_the_spinner_has_the_parts(monkeypatch):
    """What is written to a real terminal, read from its other end."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    now = [0.0]
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        with ProgressPrinter(clock=lambda: now[0]):
            _notify(StepState.STARTED, "train_worklist", 0)
            now[0] += 20
            report_parts("collections", 5, 20)
            shown = _read_until(ours, "60 s left …")
            _notify(StepState.FAILED, "train_worklist", 21.0)
        shown += _read_until(ours, "21.0 s")
    os.close(ours)
    assert "price models: train_worklist, 5 of 20 collections, about 60 s left …" in shown
    assert "✗" in shown


def _read_until(terminal: int, text: str) -> str:
    shown = b""
    with selectors.DefaultSelector() as selector:
        selector.register(terminal, selectors.EVENT_READ)
        while text.encode() not in shown and selector.select(10):
            shown += os.read(terminal, 10_000)
    return shown.decode()


def test_a_closed_listener_gets_no_more_reports():
    reported: list[PartsDone] = []
    with listening(reported.append):
        report_parts("days", 1, 2)
    report_parts("days", 2, 2)
    assert reported == [PartsDone("days", 1, 2)]
