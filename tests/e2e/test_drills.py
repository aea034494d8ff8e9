"""Every fault has a drill, and a drill names what did not hold."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from orchestration.errors import HomeError
from orchestration.reliability.drills.catalogue import DRILLS, Drill, drill_of
from orchestration.reliability.drills.endpoint import Arrival
from orchestration.reliability.drills.evidence import Losses
from orchestration.reliability.drills.passes import Incident
from orchestration.reliability.drills.timeline import judge_incidents, judge_losses, judge_messages
from orchestration.states import NoticeKind, Severity
from sources.simulator.config import FAULTS
from tests.command import assay

DOCS = Path(__file__).resolve().parents[2] / "docs"
START = datetime(2025, 3, 2)  # noqa: DTZ001 - the lake keeps naive UTC


def test_every_fault_of_the_simulator_has_a_drill():
    drilled = {drill.fault.partition(":")[0] for drill in DRILLS if drill.fault}
    assert drilled == set(FAULTS)
    assert {drill.name for drill in DRILLS} >= {*FAULTS, "alert_endpoint_down", "quiet_month"}


def test_every_drill_is_listed_and_documented():
    listed = assay("drill", "--list").stdout
    page = (DOCS / "how-to" / "drills.md").read_text()
    for drill in DRILLS:
        assert drill.name in listed
        assert f"`{drill.name}`" in page


def test_an_unknown_drill_is_answered_with_what_comes_close():
    with pytest.raises(HomeError, match="did you mean outage"):
        drill_of("outtage")
    done = assay("drill", "outtage")
    assert done.returncode == 2
    assert "did you mean outage" in done.stderr


# Verdicts of a drill when the system does worse.

DRILL = Drill("d", "s", passes=(1, 2), fault="outage", detected_by=("slo/a",), also_noticed=("check/",))
OPENED, RESOLVED = NoticeKind.OPENED, NoticeKind.RESOLVED


def incident(
    key: str = "slo/a", day: int = 1, over: int | None = 2, severity: Severity = Severity.PAGE
) -> Incident:
    resolved = None if over is None else START + timedelta(days=over)
    return Incident(key, severity, key, "run-failed", "assay run", START + timedelta(days=day), resolved)


def message(kind: NoticeKind, *keys: str, number: int = 0) -> Arrival:
    return Arrival(f"{kind}-{number}", "thread", kind, Severity.PAGE, "title", keys)


def failing(found: list[Incident], drill: Drill = DRILL) -> list[str]:
    return [e.what for e in judge_incidents(drill, found, START + timedelta(days=1)) if not e.held]


def test_what_was_noticed_in_time_and_is_over_passes():
    assert failing([incident(), incident("check/x/y", severity=Severity.INFO)]) == []


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ([], "detected"),
        ([incident(day=2, over=3)], "detected"),
        ([incident(over=None)], "over at the end"),
        ([incident(), incident("slo/b")], "anything else"),
    ],
)
def test_missed_late_lasting_or_false_incidents_fail(found, word):
    assert [word in what for what in failing(found)] == [True]


def test_a_page_in_a_quiet_market_fails():
    quiet = Drill("q", "s", passes=(1,), watch_only=True)
    assert failing([incident(severity=Severity.TICKET)], quiet) == []
    assert failing([incident()], quiet) == ["nothing pages"]


@pytest.mark.parametrize(
    ("messages", "alerted_once", "over_once"),
    [
        ([message(OPENED, "slo/a"), message(RESOLVED, "slo/a")], True, True),
        ([message(RESOLVED, "slo/a")], False, True),
        (
            [message(OPENED, "slo/a"), message(OPENED, "slo/a", number=1), message(RESOLVED, "slo/a")],
            False,
            True,
        ),
        ([message(OPENED, "slo/a"), message(NoticeKind.REMINDER, "slo/a")], True, False),
    ],
)
def test_a_message_too_few_or_too_many_fails(messages, alerted_once, over_once):
    alerts, recoveries = judge_messages([incident()], messages)
    assert (alerts.held, recoveries.held) == (alerted_once, over_once)


@pytest.mark.parametrize(
    ("losses", "held"),
    [
        (Losses(10, 9, 1, 0), True),
        (Losses(10, 9, 0, 0), False),
        (Losses(10, 10, 1, 0), False),
        (Losses(10, 10, 0, 2), False),
    ],
)
def test_a_lost_or_doubled_row_fails(losses, held):
    assert judge_losses(losses).held is held
