"""What is materialized because something else was: one condition, and its sensor. Off unless enabled.

Here: the condition and why it is what it is. Not here: schedules (`orchestration.schedules`), training out of turn
(`orchestration.retraining`). Three thousand partitions depend on every table, and `eager()` would ask for all of them
at a refresh. So only the monitoring assets have a condition, none of which is partitioned: a tick requests them in one
run or not at all.
"""

from __future__ import annotations

import dagster as dg

_ESTIMATES = "token_estimates"

_valued = dg.AutomationCondition.asset_matches(_ESTIMATES, dg.AutomationCondition.newly_updated())
_valuing = dg.AutomationCondition.asset_matches(_ESTIMATES, dg.AutomationCondition.in_progress())

WATCH_WHEN_VALUED = (
    _valued.since_last_handled()  # type: ignore[misc]  # Dagster types it for assets and checks at once
    & ~_valuing
    & ~dg.AutomationCondition.in_progress()
).with_label("watch_when_valued")
"""Make a monitoring pass when tokens were valued by anything but the hourly job, which makes its own.

That is after champions were put back, or a scoring launched by hand. Without it a page about a model that
was rolled back stays open for up to an hour after it is over.

- *Estimates newly updated*, not any dependency: new marts or a trained model change no published value.
- *Since last handled*: one pass covers all updates since the last one. An update and the pass after it that
  land between the same two ticks count as handled, which is right here: the hourly job makes them in this order.
- *Estimates not in progress*: they are about to change again; one pass afterwards is enough.
- *Itself not in progress*: the hourly job is between valuing and watching.
- *No term about checks*: when a blocking check has failed, a pass is all the more useful.
"""


def build_condition_sensor(*, enabled: bool) -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates it, off unless enabled. A tick reads events of seven assets and no partition."""
    return dg.AutomationConditionSensorDefinition(
        name="watch_when_valued",
        target=dg.AssetSelection.groups("monitoring"),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING if enabled else dg.DefaultSensorStatus.STOPPED,
        description="A monitoring pass after tokens were valued outside the hourly job.",
    )
