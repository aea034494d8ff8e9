"""Carrying out a drill: a scratch home, the fault, pass after pass, and the verdict.

Here: the order. Not here: a pass (`orchestration.reliability.drills.passes`), what is expected
(`orchestration.reliability.drills.catalogue`), the killed deliverer
(`orchestration.reliability.drills.outage_of_alerts`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from orchestration.alerts.store import Outbox
from orchestration.home import open_instance, prepare_home
from orchestration.reliability.drills.catalogue import Drill
from orchestration.reliability.drills.endpoint import Receiver, receiving
from orchestration.reliability.drills.evidence import count, read_losses
from orchestration.reliability.drills.lost_home import run_lost_home
from orchestration.reliability.drills.market import FAULT_DAY, build_market, drill_settings, scratch_home
from orchestration.reliability.drills.outage_of_alerts import endpoint_fails_and_deliverer_is_killed
from orchestration.reliability.drills.passes import DELIVERY_EVERY, Pass, incidents, run_pass
from orchestration.reliability.drills.timeline import (
    DrillResult,
    Expectation,
    Moment,
    judge_incidents,
    judge_losses,
    judge_messages,
)
from orchestration.reliability.replay import replay_quarantine
from orchestration.resources import Assay
from orchestration.settings import Settings
from orchestration.states import DrillStep, NoticeKind

_STEP_OF = {
    NoticeKind.OPENED: DrillStep.ALERTED,
    NoticeKind.REMINDER: DrillStep.REMINDED,
    NoticeKind.RESOLVED: DrillStep.RESOLVED,
}


@dataclass
class _Notes:
    """What is written down while the drill runs."""

    fault_at: datetime
    moments: list[Moment] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)
    seconds: float = 0.0

    def write(self, step: DrillStep, at: datetime, since: datetime | None, what: str) -> None:
        self.moments.append(Moment(step, at, None if since is None else at - since, what))

    def expect(self, what: str, found: str, *, held: bool) -> None:
        self.expectations.append(Expectation(what, found, held))


def run_drill(
    drill: Drill, markets: Path, home: Path, say: Callable[[str], None] = lambda _: None
) -> DrillResult:
    """Run one drill.

    Args:
        drill: Which.
        markets: Folder of the homes before the fault. The one that the drill starts from is built when it is missing,
            copied, and stays as it is.
        home: A folder that does not exist yet; it is left for the caller to inspect or remove.
        say: Called with progress messages.

    Raises:
        StageFailedError: a stage of the pipeline failed: no fault may do that.
    """
    if drill.loses_home:
        return run_lost_home(drill, markets, home, say)
    name, _, magnitude = (drill.fault or "").partition(":")
    faults = f"{name}@{FAULT_DAY}{':' + magnitude if magnitude else ''}" if name else ""
    scratch_home(build_market(markets, drill.seed, say), home, drill.seed, faults)
    with receiving() as receiver:
        before_fault = drill_settings(
            home, days=FAULT_DAY, seed=drill.seed, faults=faults, alert_urls=receiver.url
        )
        fault_at = Assay(before_fault).as_of
        notes = _Notes(fault_at)
        notes.write(DrillStep.INJECTED, fault_at, None, f"{faults}: {drill.shows}" if faults else drill.shows)
        for day in drill.passes:
            settings = before_fault.model_copy(update={"days": FAULT_DAY + day})
            say(f"{drill.name}: day {day} of {drill.passes[-1]}")
            _one_pass(drill, settings, receiver, day, notes)
        last = before_fault.model_copy(update={"days": FAULT_DAY + drill.passes[-1]})
        _judge(drill, last, receiver, notes)
    moments = tuple(sorted(notes.moments, key=lambda moment: moment.at))
    return DrillResult(drill.name, drill.shows, moments, tuple(notes.expectations), notes.seconds, str(home))


def _one_pass(drill: Drill, settings: Settings, receiver: Receiver, day: int, notes: _Notes) -> None:
    prepare_home(settings)
    fails_now = drill.endpoint_down and day == drill.arrives_day
    receiver.is_down = fails_now
    before = len(receiver.messages)
    with open_instance(settings) as instance:
        done = run_pass(settings, instance)
    notes.seconds += done.seconds
    _write_pass(done, notes)
    if fails_now:
        result = endpoint_fails_and_deliverer_is_killed(settings, receiver, done.as_of + DELIVERY_EVERY)
        notes.expect(*result.expectation, held=result.held)
        notes.write(DrillStep.ALERTED, result.until, done.as_of, result.what)
    for message in receiver.messages[before:]:
        if not fails_now:
            notes.write(_STEP_OF[message.kind], done.as_of + DELIVERY_EVERY, done.as_of, message.title)
    if drill.replay and day == drill.arrives_day:
        report = replay_quarantine(Assay(settings).lake, drill.replay)
        renamed = ", ".join(f"--rename {old}={new}" for old, new in drill.replay.items())
        notes.write(
            DrillStep.ACTED,
            done.as_of,
            done.as_of,
            f"assay replay {renamed}: {report.replayed} rows let in, {report.still_open} stay",
        )
    for action in drill.actions:
        if action.by_day == day:
            found = count(Assay(settings), action.sql, since=notes.fault_at, as_of=done.as_of)
            notes.write(DrillStep.ACTED, done.as_of, notes.fault_at, action.words.format(n=found))
            notes.expect(
                f"action: {action.words.format(n=action.at_least)} or more",
                action.words.format(n=found),
                held=found >= action.at_least,
            )


def _write_pass(done: Pass, notes: _Notes) -> None:
    for incident in done.opened:
        words = f"{incident.severity} {incident.key}: {incident.title} (docs/runbook/{incident.runbook}.md)"
        notes.write(DrillStep.DETECTED, done.as_of, notes.fault_at, words)
    if done.trained:
        counts = ", ".join(f"{n} {action}" for action, n in sorted(done.trained.items()))
        notes.write(DrillStep.ACTED, done.as_of, notes.fault_at, f"models: {counts}")
    if done.retrained:
        notes.write(
            DrillStep.ACTED, done.as_of, notes.fault_at, f"trained out of turn: {', '.join(done.retrained)}"
        )
    if done.resolved:
        notes.write(DrillStep.RECOVERED, done.as_of, notes.fault_at, ", ".join(done.resolved))


def _judge(drill: Drill, settings: Settings, receiver: Receiver, notes: _Notes) -> None:
    assay = Assay(settings)
    found = [i for i in incidents(Outbox.of(settings.home_path)) if i.opened_at > notes.fault_at]
    notes.expectations += judge_incidents(drill, found, notes.fault_at + timedelta(days=drill.arrives_day))
    notes.expectations += judge_messages(found, receiver.messages)
    notes.expectations.append(judge_losses(read_losses(assay, assay.as_of)))
