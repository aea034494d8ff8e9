"""Errors that stop a command with a message instead of a traceback. Light to import: the command line catches these."""

from __future__ import annotations


class HomeError(RuntimeError):
    """The home cannot be used as asked; the message names the process or the market that has it."""


class StageFailedError(RuntimeError):
    """A stage of the main job failed; the message names the step, the error and the run."""
