"""The progress of a run: one line per finished step, and how far a long one is, on standard error.

Here: a Dagster logger that turns step events into calls of an observer, and the observer for terminals.
Not here: the final table (`orchestration.cli.render.run_report`). Standard output stays clean for `--json`.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import dagster as dg
from rich.text import Text

from orchestration.output.parts import PartsDone, listening
from orchestration.output.terminal import TerminalConsole, TidyFormatter, styled
from orchestration.states import StepState

# What a step is called in the report: (asset or op name) → stage.
STAGES = {
    "marts": "marts",
    "hedonic_index": "index",
    "sale_features": "sale features",
    "pooled_prior": "pooled prior",
    "price_models": "price models",
    "train_worklist": "price models",
    "token_features": "token features",
    "token_estimates": "estimates",
    "wallet_positions": "portfolios",
    "wallet_valuations": "portfolios",
    "realized_gains": "portfolios",
    "walk_forward_accuracy": "accuracy",
    "published_estimates": "publication",
    "tuning_study": "tuning",
    "estimate_ledger": "monitoring",
    "online_metrics": "monitoring",
    "mape_buckets": "monitoring",
    "drift_scores": "monitoring",
    "slo_status": "monitoring",
    "retrain_queue": "monitoring",
}
Observer = Callable[[StepState, str, float], None]
_observers: list[Observer] = []


def stage_of(step: str) -> str:
    """The stage a Dagster step belongs to: raw assets are all `ingest`, what is not named is a check."""
    if step.startswith("raw_") or step == "market_truth":
        return "ingest"
    return STAGES.get(step, "checks")


class _StepHandler(logging.Handler):
    """Notifies the observers when a step starts or ends."""

    def __init__(self) -> None:
        super().__init__()
        self._started: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        event: dg.DagsterEvent | None = getattr(record, "dagster_event", None)
        if event is None or event.step_key is None:
            return
        if event.event_type_value in ("STEP_START", "STEP_RESTARTED"):
            self._started[event.step_key] = time.monotonic()
            _notify(StepState.STARTED, event.step_key, 0.0)
        elif event.event_type_value in ("STEP_SUCCESS", "STEP_FAILURE"):
            seconds = time.monotonic() - self._started.pop(event.step_key, time.monotonic())
            state = StepState.DONE if event.event_type_value == "STEP_SUCCESS" else StepState.FAILED
            _notify(state, event.step_key, seconds)


def _notify(state: StepState, step: str, seconds: float) -> None:
    # Dagster numbers the parts of an op whose checks run before and after other steps: `checks_of_features_2`.
    step = re.sub(r"_\d+$", "", step)
    for observer in _observers:
        observer(state, step, seconds)


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Have a function called when a step of a run in this process starts, is done or has failed.

    Args:
        observer: Gets the state, the step's name and its seconds. What it raises ends the run.
    """
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


@dg.logger(
    config_schema=dg.colored_console_logger.config_schema,
    description="Dagster's lines on the terminal, without secrets and control characters.",
)
def console_logger(init_context: dg.InitLoggerContext) -> logging.Logger:
    """Dagster's own console logger without its colours, which a name could contain as well."""
    logger = dg.colored_console_logger.logger_fn(init_context)
    for handler in logger.handlers:
        handler.setFormatter(TidyFormatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
    return logger


@dg.logger(config_schema={}, description="Feeds the progress lines of the command line.")
def progress_logger(init_context: dg.InitLoggerContext) -> logging.Logger:
    """A logger that only passes step events on."""
    logger = logging.Logger(f"assay.progress.{init_context.run_id}", level=logging.DEBUG)
    logger.addHandler(_StepHandler())
    return logger


SPARSE_S = 30.0
"""Seconds between two lines about one step where there is no terminal."""


class ProgressPrinter:
    """Prints the run as it happens. Use as a context manager around the run.

    On a terminal: a spinner with the parts that are done and the time that is left, and a line when a step is done.
    Elsewhere: that line, and one every half minute. Writes to a copy of standard error: Dagster captures the original
    while a step runs.
    """

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = os.fdopen(os.dup(sys.stderr.fileno()), "w")
        self.console = TerminalConsole(file=self._stream, quiet=quiet, force_terminal=sys.stderr.isatty())
        self._status: Any = None
        self._clock = clock
        self._step = ""
        self._began = self._last_reported = clock()
        self._observing = ExitStack()

    def __enter__(self) -> ProgressPrinter:
        self._observing.enter_context(observing(self._observe))
        self._observing.enter_context(listening(self._report))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_spinner()
        self._observing.close()
        self._stream.flush()

    def say(self, text: str | Text) -> None:
        """A line of its own."""
        self._stop_spinner()
        self.console.print(text)

    def _observe(self, state: StepState, step: str, seconds: float) -> None:
        self._stop_spinner()
        if state == StepState.STARTED:
            self._step = step
            self._began = self._last_reported = self._clock()
            if self.console.is_terminal:
                self._status = self.console.status(styled(f"{stage_of(step)}: {step} …"))
                self._status.start()
            return
        mark = ("✓", "green") if state == StepState.DONE else ("✗", "red")
        self.console.print(styled(mark, f" {stage_of(step):<15} {step[:44]:<44} {seconds:6.1f} s"))
        self._stream.flush()

    def _report(self, parts: PartsDone) -> None:
        now = self._clock()
        text = f"{stage_of(self._step)}: {self._step}, {parts.in_words(now - self._began)}"
        if self._status is not None:
            self._status.update(styled(f"{text} …"))
        elif now - self._last_reported >= SPARSE_S and parts.done < parts.total:
            self._last_reported = now
            self.console.print(styled(f"  {text}"))
            self._stream.flush()

    def _stop_spinner(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
