"""Service levels: what is promised (`slos.yaml`), whether it is kept, and how long the error budget lasts.

Here: definitions → evaluation → budget → alerts, and the tables `monitoring.slo_samples` and
`monitoring.slo_status`. Not here: sending alerts (`orchestration.alerts`), or what an asset check asserts about
rows (`orchestration.checks`).

The concept: an SLI is a share of good among valid events; the objective leaves a budget of bad ones; how fast that is
being spent (the burn rate) decides whether a person is paged, not the single bad event (Google, The SRE Workbook,
chapter 5).
"""
