"""The end of a command that was asked to stop: a sentence on what is kept and what to do next, and 130 or 143."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from orchestration.interruptions import StopRequestedError, noticed_signals
from orchestration.output.terminal import complain

KEPT = {
    "run": "what was ingested, built, trained and valued is kept; `assay run` continues from there",
    "retrain": "models that were trained are kept; the same command trains the others",
    "backtest": "ingested days, built tables and finished refit periods are kept, and no ledger was written; the same "
    "command continues",
    "tune": "trials and verdicts that were reached are kept; the same command continues there",
    "drill": "nothing but its scratch home was touched",
    "demo": "nothing but its scratch home was touched",
    "ui": "runs that were under way are cancelled, and what they had committed is kept; `assay run` continues",
}
"""Command → what is true after it was stopped. Each is one transaction after the other: none is half done."""

OTHERWISE = "what was finished is kept, and nothing is half done; the same command may be given again"


class StoppableGroup(TyperGroup):
    """Commands that end with a sentence and the signal's exit code, 128 and its number, when asked to stop."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was given."""
        with noticed_signals() as signal_that_came:
            try:
                return super().invoke(ctx)
            except StopRequestedError as stopped:
                raise SystemExit(_say_stopped(ctx, stopped)) from stopped
            except Exception as error:
                # A library may put an error of its own in place of the exception, as DuckDB does: "Query interrupted".
                number = signal_that_came()
                if number is None or isinstance(error, typer.Exit):
                    raise
                import duckdb

                if not isinstance(error, duckdb.InterruptException):
                    complain(f"assay: {error}")  # it may be a fault of its own, at the same time
                raise SystemExit(_say_stopped(ctx, StopRequestedError(number))) from error


def _say_stopped(ctx: Any, stopped: StopRequestedError) -> int:
    kept = KEPT.get(ctx.invoked_subcommand or "", OTHERWISE)
    complain(f"assay: stopped by {stopped.signal.name}: {kept}")
    return 128 + stopped.signal
