"""What a drill found, in order, and whether every expectation held.

Here: the timeline and its judgement, from passes, incidents, arrivals and evidence. Not here: making them
(`orchestration.reliability.drills.run`), what is expected (`orchestration.reliability.drills.catalogue`). Nothing is
judged from what a drill did itself: detection and recovery are rows of the outbox, alerts are what arrived at the
endpoint, actions are counted in the lake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestration.states import DrillStep, NoticeKind, Severity

if TYPE_CHECKING:
    from orchestration.reliability.drills.catalogue import Drill
    from orchestration.reliability.drills.endpoint import Arrival
    from orchestration.reliability.drills.evidence import Losses
    from orchestration.reliability.drills.passes import Incident


@dataclass(frozen=True)
class Moment:
    """One line of the timeline: a step, its `as_of`, the time since the step it follows, and what happened."""

    step: DrillStep
    at: datetime
    lag: timedelta | None
    what: str


@dataclass(frozen=True)
class Expectation:
    """Something that had to hold, and what was found."""

    what: str
    found: str
    held: bool


@dataclass(frozen=True)
class DrillResult:
    """The outcome of one drill.

    Attributes:
        name: Which.
        shows: What it shows.
        moments: The timeline, in order.
        expectations: All of them, held or not.
        seconds: Wall-clock time of its passes.
        home: Where the scratch home was.
    """

    name: str
    shows: str
    moments: tuple[Moment, ...]
    expectations: tuple[Expectation, ...]
    seconds: float
    home: str

    @property
    def passed(self) -> bool:
        """Whether every expectation held."""
        return all(expectation.held for expectation in self.expectations)

    def to_json(self) -> dict[str, Any]:
        """Plain types; times as ISO text, lags in hours."""
        document = asdict(self)
        for moment in document["moments"]:
            moment["at"] = moment["at"].isoformat()
            lag = moment.pop("lag")
            moment["lag_h"] = None if lag is None else lag / timedelta(hours=1)
        return {**document, "passed": self.passed}


def judge_incidents(drill: Drill, found: Sequence[Incident], arrived_at: datetime) -> list[Expectation]:
    """Detected in the first pass that could, nothing else noticed, everything over at the end."""
    detected = [
        f"{incident.key} ({incident.severity})" for incident in found if incident.key in drill.detected_by
    ]
    expected = []
    if drill.detected_by:
        in_time = [i for i in found if i.key in drill.detected_by and i.opened_at <= arrived_at]
        expected.append(
            Expectation(
                f"detected in the first pass after the data arrived, by {' or '.join(drill.detected_by)}",
                ", ".join(detected) or "not detected",
                bool(in_time),
            )
        )
    unexpected = [i.key for i in found if not i.key.startswith((*drill.detected_by, *drill.also_noticed))]
    paging = [i.key for i in found if i.severity == Severity.PAGE]
    if drill.watch_only:
        expected.append(Expectation("nothing pages", ", ".join(paging) or "no page", not paging))
    else:
        expected.append(
            Expectation("no incident about anything else", ", ".join(unexpected) or "none", not unexpected)
        )
    open_at_end = [i for i in found if i.resolved_at is None]
    lasting = tuple(prefix for prefix in drill.outlasts if prefix not in drill.detected_by)
    still = sorted({i.key for i in open_at_end if not (lasting and i.key.startswith(lasting))})
    expected.append(
        Expectation("every incident is over at the end", ", ".join(still) or "all over", not still)
    )
    return expected


def judge_messages(found: Sequence[Incident], messages: Sequence[Arrival]) -> list[Expectation]:
    """Each incident was sent once and its recovery once, however often it was tried."""
    incidents = Counter(incident.key for incident in found)
    over = Counter(incident.key for incident in found if incident.resolved_at is not None)
    opened = Counter(key for message in messages if message.kind == NoticeKind.OPENED for key in message.keys)
    closed = Counter(
        key for message in messages if message.kind == NoticeKind.RESOLVED for key in message.keys
    )
    return [
        Expectation(
            "each incident alerts exactly once",
            _compare(incidents, opened),
            incidents == opened,
        ),
        Expectation("each recovery is sent exactly once", _compare(over, closed), over == closed),
    ]


def _compare(expected: Counter[str], found: Counter[str]) -> str:
    wrong = sorted(key for key in expected | found if expected[key] != found[key])
    if not wrong:
        return f"{found.total()} of {expected.total()}"
    return ", ".join(f"{key}: {found[key]} for {expected[key]}" for key in wrong)


def judge_losses(losses: Losses) -> Expectation:
    """Every row the source delivered is in the lake or in quarantine, once."""
    return Expectation(
        "nothing is lost",
        f"{losses.delivered} sale rows delivered = {losses.accepted} in the lake + {losses.in_quarantine} in "
        f"quarantine; reconciliation difference {losses.difference}",
        losses.lost == 0,
    )
