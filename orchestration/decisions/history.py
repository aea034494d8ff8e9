"""The history of a collection: what was decided about it, when, on which numbers, by which rule, with which effect.

Here: what a history consists of. Not here: reading it (`orchestration.decisions.reading`), its layout
(`orchestration.cli.why`), or any decision. Decisions, verdicts and scores carry an `as_of`; incidents carry wall-clock
time and come last, by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestration.output.terminal import as_plain
from orchestration.states import ClockKind, EventKind

# With fewer live arm's-length sales after a decision, its effect is not measured.
MIN_SALES_OF_EFFECT = 5


@dataclass(frozen=True)
class Effect:
    """The errors of the estimates after a decision, until the next one of its kind or the watermark.

    Attributes:
        sales: Live arm's-length sales in that time whose estimate was frozen before them.
        mdape: Their median absolute percentage error (share); None with fewer than `MIN_SALES_OF_EFFECT`.
        median_5: The same of the median of the last five sales.
        sales_before, mdape_before: The same before it.
        verdict: word of `ml.states.EffectVerdict`, once the monitoring pass has recorded one (`ops.decision_effects`).
    """

    sales: int
    mdape: float | None
    median_5: float | None
    sales_before: int
    mdape_before: float | None
    verdict: str | None = None


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        at: When, in the event's own clock (`clock`), naive UTC.
        kind: decision, prior, tuning, drift, queue or alert.
        what: The action in a word or two: promoted, rejected, tuned, drifted …
        why: The reason, in a sentence.
        rule: The rule that decided; None where nothing decided.
        numbers: What it was decided on.
        models: Model before and model asked for or made.
        effect: Measured later; None where there is nothing to measure.
        clock: market (`as_of`), or wall for incidents.
    """

    at: datetime
    kind: EventKind
    what: str
    why: str
    rule: str | None = None
    numbers: dict[str, Any] = field(default_factory=dict)
    models: tuple[str | None, str | None] = (None, None)
    effect: Effect | None = None
    clock: ClockKind = ClockKind.MARKET


@dataclass(frozen=True)
class History:
    """Everything the home has recorded about a collection.

    Attributes:
        collection: Whose.
        market: Its chain: the pooled prior is decided there.
        watermark: `as_of` of the home.
        champion: What values it now (a row of `ops.champions`); None before the first training.
        events: In order; those of the wall clock last.
        not_kept: Tables that would add events and have no rows yet.
    """

    collection: str
    market: str | None
    watermark: datetime
    champion: dict[str, Any] | None
    events: tuple[Event, ...]
    not_kept: tuple[str, ...]

    @property
    def decisions(self) -> tuple[Event, ...]:
        """Decisions about this collection itself."""
        return tuple(event for event in self.events if event.kind == EventKind.DECISION)

    def to_json(self) -> dict[str, Any]:
        """Plain types; times as ISO text."""
        return {**as_plain(self), "decided": len(self.decisions)}
