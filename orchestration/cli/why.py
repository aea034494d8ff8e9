"""`assay why`: the history of a collection.

Here: options and layout. Not here: any reading (`orchestration.decisions.history`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml.states import Action
from ml.text.times import utc_minute
from ml.text.visible import visible
from orchestration.cli.options import AsJson, Home
from orchestration.output.terminal import TerminalConsole, print_json, styled
from orchestration.settings import load_settings
from orchestration.states import ClockKind, EventKind

if TYPE_CHECKING:
    from orchestration.decisions.history import Effect, Event, History

_ABOUT = {
    EventKind.DECISION: "model",
    EventKind.PRIOR: "pooled prior",
    EventKind.TUNING: "tuning",
    EventKind.DRIFT: "drift",
    EventKind.QUEUE: "retrain queue",
    EventKind.ALERT: "alert",
}


def why(
    collection: Annotated[str, typer.Argument(help="Collection.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What was decided about a collection, when, on which numbers, by which rule, with which effect.

    Exit codes: 0 printed · 2 no such collection or home.
    """
    settings = load_settings(home=home)
    from orchestration.decisions.reading import read_history
    from orchestration.home import existing_home
    from orchestration.resources import Assay

    existing_home(settings)
    assay = Assay(settings)
    with assay.lake.read() as con:
        history = read_history(con, settings.home_path, collection, assay.as_of)
    if as_json:
        print_json(history.to_json())
    else:
        _print(history)


def _print(history: History) -> None:
    console = TerminalConsole(width_of_files=120)
    when = f" · market {history.market} · as of {utc_minute(history.watermark)}"
    console.print(styled((visible(history.collection), "bold"), when))
    console.print(_now(history.champion))
    if not history.decisions:
        console.print("Nothing was decided about this collection itself yet.")
    for event in history.events:
        _print_event(console, event)
    if history.not_kept:
        console.print(styled((f"\nTables without rows yet: {', '.join(history.not_kept)}", "dim")))


def _now(champion: dict[str, Any] | None) -> str:
    if champion is None:
        return "No champion; the pooled prior or the index prices this collection, when there are sales."
    previous = champion["previous_version"]
    return (
        f"Now: version {champion['version']}, tier {champion['tier']}, prior {champion['prior_version']}, "
        f"local weight {champion['weight'] or 0:.2f}, data until {utc_minute(champion['trained_until'])}"
        f"{f', the previous one is version {previous}' if previous is not None else ''}"
    )


def _print_event(console: TerminalConsole, event: Event) -> None:
    clock = "" if event.clock == ClockKind.MARKET else " (wall clock)"
    rule = f" by rule {event.rule}" if event.rule else ""
    what = (f"{_ABOUT[event.kind]}: {visible(event.what)}", "bold")
    console.print(styled(f"\n{utc_minute(event.at)}{clock} ", what, rule))
    console.print(f"  {visible(event.why)}")
    before, after = event.models
    if after:
        console.print(
            f"  model {before or 'none'} → {after}"
            if event.what != Action.REJECTED
            else f"  {before} stays; the candidate was {after}"
        )
    if event.numbers:
        console.print(
            f"  numbers: {', '.join(f'{name} {_number(value)}' for name, value in event.numbers.items())}"
        )
    if event.effect:
        console.print(f"  later: {_effect(event.effect)}")


def _effect(effect: Effect) -> str:
    verdict = f" ({effect.verdict.replace('_', ' ')})" if effect.verdict else ""
    if effect.mdape is None:
        return f"{effect.sales} live sales so far, too few to measure"
    median_5 = f", median of 5: {effect.median_5:.1%}" if effect.median_5 is not None else ""
    before = (
        f"; before it {effect.mdape_before:.1%} over {effect.sales_before}"
        if effect.mdape_before is not None
        else ""
    )
    return f"MdAPE {effect.mdape:.1%} over {effect.sales} live sales{median_5}{before}{verdict}"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
