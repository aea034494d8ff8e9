"""The tables of retraining: the queue of collections that need something, and the effects of decisions.

Here: their names. Not here: columns (`ml.tables.ops`), the words in them (`ml.states`), who is queued
(`ml.retraining.queue`), or how an effect is measured (`ml.retraining.effects`).
"""

from __future__ import annotations

from ml.tables.ops import DECISION_EFFECTS, RETRAIN_QUEUE

QUEUE = RETRAIN_QUEUE.name
EFFECTS = DECISION_EFFECTS.name
