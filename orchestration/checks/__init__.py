"""Checks: what must be true of the rows of each asset, with how bad it is and what to do when it is not.

Here: what a check is, the ways of measuring, and the one factory that makes Dagster checks of it. Not here: the checks
themselves (the file checks.py of each subject), promises with an error budget (`orchestration.slo`), dbt's
data tests. docs/contracts.md lists what is covered where.
"""
