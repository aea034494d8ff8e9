"""The tables of retraining: the queue of collections that need something, and the effects of decisions.

Here: their names and the words in them. Not here: columns (`ml.tables.ops`), who
is queued (`queue`), or how an effect is measured (`effects`).
"""

from __future__ import annotations

from ml.tables.ops import DECISION_EFFECTS, RETRAIN_QUEUE

QUEUE = RETRAIN_QUEUE.name
EFFECTS = DECISION_EFFECTS.name

RETRAIN, RETUNE = "retrain", "retune"
"""What a row of the queue asks for: a new fit, or new settings before the next fit."""

QUEUED, LAUNCHED, COOLING, DONE = "queued", "launched", "cooling", "done"
"""Waiting for a run; in a run; trained, and its new sales are awaited; nothing to do any more."""
