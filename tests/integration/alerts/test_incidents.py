"""Which incidents become a message: grouping, reminders, recovery, flapping, order, forgetting."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from orchestration.alerts.delivery import deliver
from orchestration.alerts.log_channel import LogChannel
from orchestration.alerts.outbox import Alert, raise_alert, resolve_alert, sync_alerts
from orchestration.states import Severity

START = datetime.fromisoformat("2026-03-01T12:00:00")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Log:
    """The log channel of a test, read back."""

    def __init__(self, outbox, folder):
        self.outbox, self.channel = outbox, LogChannel(folder / "alerts.log")

    def after(self, now):
        """Deliver at `now`; the new lines as (kind, title)."""
        before = len(self.lines())
        deliver(self.outbox, [self.channel], now)
        return [(line["kind"], line["title"]) for line in self.lines()[before:]]

    def lines(self):
        path = self.channel.path
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def log(outbox, tmp_path):
    return Log(outbox, tmp_path)


def gate(alert, names, **changed):
    return [
        alert(
            f"gate/{n}",
            "ticket",
            title=f"{n} failed the gate",
            group="collections failed the gate",
            **changed,
        )
        for n in names
    ]


def test_alerts_of_a_group_are_one_message_and_recover_with_one(outbox, log, alert):
    names = [f"collection {n:02}" for n in range(37)]
    sync_alerts(outbox, "gate", gate(alert, names), START)
    assert log.after(START) == [("opened", "37 collections failed the gate")]
    body = log.lines()[0]["body"]
    assert "collection 00 failed the gate" in body
    assert "and 27 more" in body
    assert len(log.lines()[0]["keys"]) == 37

    sync_alerts(outbox, "gate", gate(alert, names[:12]), START + HOUR)
    assert log.after(START + HOUR) == [], "some of them are still open"
    assert log.after(START + DAY + MINUTE) == [("reminder", "12 of 37 collections failed the gate")]
    sync_alerts(outbox, "gate", [], START + 26 * HOUR)
    assert log.after(START + 26 * HOUR) == [("resolved", "37 collections failed the gate")]
    assert log.after(START + 27 * HOUR) == []


def test_one_alert_of_a_group_keeps_its_own_title(outbox, log, alert):
    sync_alerts(outbox, "gate", gate(alert, ["punks"]), START)
    assert log.after(START) == [("opened", "punks failed the gate")]


def test_a_later_member_of_a_group_is_sent_without_repeating_the_others(outbox, log, alert):
    sync_alerts(outbox, "gate", gate(alert, ["a", "b"]), START)
    log.after(START)
    sync_alerts(outbox, "gate", gate(alert, ["a", "b", "c"]), START + HOUR)
    assert log.after(START + HOUR) == [("opened", "c failed the gate")]


def test_pages_are_repeated_every_four_hours_tickets_daily_infos_never(outbox, log, alert):
    for severity in ("page", "ticket", "info"):
        raise_alert(outbox, alert(f"slo/{severity}", severity), START)
    first = log.after(START)
    assert [title for _, title in first] == [f"slo/{s} is burning" for s in ("page", "ticket", "info")]
    reminders = {"page": 0, "ticket": 0, "info": 0}
    for minutes in range(10, 49 * 60, 10):
        for kind, title in log.after(START + minutes * MINUTE):
            assert kind == "reminder"
            reminders[title.removeprefix("slo/").removesuffix(" is burning")] += 1
    assert reminders == {"page": 12, "ticket": 2, "info": 0}


def test_an_incident_that_got_worse_is_sent_at_once(outbox, log, alert):
    raise_alert(outbox, alert(severity="ticket"), START)
    log.after(START)
    raise_alert(outbox, alert(severity="page"), START + 5 * MINUTE)
    assert [kind for kind, _ in log.after(START + 5 * MINUTE)] == ["reminder"]
    assert log.lines()[-1]["severity"] == "page"
    raise_alert(outbox, alert(severity="page"), START + 6 * MINUTE)
    assert log.after(START + 6 * MINUTE) == []


def test_an_incident_between_two_passes_is_sent_and_recovers(outbox, log, alert):
    raise_alert(outbox, alert(), START)
    resolve_alert(outbox, alert().key, START + timedelta(seconds=10))
    assert [kind for kind, _ in log.after(START + MINUTE)] == ["opened", "resolved"]


def test_an_incident_that_comes_back_at_once_is_not_sent_again_unless_it_stays(outbox, log, alert):
    raise_alert(outbox, alert(), START)
    log.after(START)
    resolve_alert(outbox, alert().key, START + HOUR)
    assert [kind for kind, _ in log.after(START + HOUR)] == ["resolved"]

    raise_alert(outbox, alert(), START + HOUR + 2 * MINUTE)
    assert log.after(START + HOUR + 3 * MINUTE) == []
    resolve_alert(outbox, alert().key, START + HOUR + 4 * MINUTE)
    assert log.after(START + HOUR + 5 * MINUTE) == [], "it was never sent, so its end is not either"

    raise_alert(outbox, alert(), START + HOUR + 6 * MINUTE)
    assert log.after(START + HOUR + 7 * MINUTE) == []
    assert [kind for kind, _ in log.after(START + HOUR + 15 * MINUTE)] == ["opened"], (
        "it outlasted ten minutes"
    )
    assert "come back 2 time(s)" in log.lines()[-1]["body"]


def test_an_incident_that_keeps_coming_back_is_sent(outbox, log, alert):
    sent = []
    for minute in range(0, 30, 3):
        raise_alert(outbox, alert(), START + minute * MINUTE)
        sent += log.after(START + minute * MINUTE)
        resolve_alert(outbox, alert().key, START + (minute + 1) * MINUTE)
        sent += log.after(START + (minute + 1) * MINUTE)
    assert [kind for kind, _ in sent] == ["opened", "resolved"] * 4, (
        "every third return, each with its recovery"
    )


def test_a_monitor_resolves_only_its_scope(outbox, log, alert):
    raise_alert(outbox, alert("slo/a"), START)
    raise_alert(outbox, alert("slow/b"), START)
    done = sync_alerts(outbox, "slo", [], START + HOUR)
    assert done.resolved == ("slo/a",)
    with pytest.raises(ValueError, match="outside it"):
        sync_alerts(outbox, "slo", [alert("drift/a")], START)
    with pytest.raises(ValueError, match="twice"):
        sync_alerts(outbox, "slo", [alert("slo/a"), alert("slo/a")], START)


def test_an_alert_that_names_no_runbook_page_is_refused():
    with pytest.raises(ValueError, match="runbook"):
        Alert("a/b", Severity.PAGE, "title", "body", "docs/runbook/run-failed.md", "assay status")
    with pytest.raises(ValueError, match="severity"):
        Alert("a/b", "critical", "title", "body", "run-failed", "assay status")  # type: ignore[arg-type]


def test_resolved_incidents_are_removed_after_the_retention_and_open_ones_are_not(outbox, log, alert):
    raise_alert(outbox, alert("slo/over", "info"), START)
    raise_alert(outbox, alert("slo/open", "info"), START)
    log.after(START)
    resolve_alert(outbox, "slo/over", START + HOUR)
    log.after(START + HOUR)
    log.after(START + 100 * DAY)
    assert [row["key"] for row in outbox.rows("select key from incidents")] == ["slo/open"]
    assert len(outbox.rows("select * from deliveries")) == 1
