"""Drills: a fault of the simulator on a scratch home, through the real pipeline, monitoring pass and outbox.

Here: what each drill shows and expects (`catalogue`), the market all of them start from (`market`), one pass
(`passes`), where its alerts arrive (`endpoint`), what is read afterwards (`evidence`), the verdict (`timeline`), and
the order of it all (`run`). Not here: the faults (`sources.simulator`), or anything that detects, alerts or retrains: a
drill only watches.
"""
