"""Drills: a fault of the simulator on a scratch home, through the real pipeline, monitoring pass and outbox.

Here: what each drill shows and expects (`orchestration.reliability.drills.catalogue`), the market all of them start
from (`orchestration.reliability.drills.market`), one pass (`orchestration.reliability.drills.passes`), where its
alerts arrive (`orchestration.reliability.drills.endpoint`), what is read afterwards
(`orchestration.reliability.drills.evidence`), the verdict (`orchestration.reliability.drills.timeline`), and the order
of it all (`orchestration.reliability.drills.run`). Not here: the faults (`sources.simulator`), or anything that
detects, alerts or retrains: a drill only watches.
"""
