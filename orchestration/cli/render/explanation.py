"""An explained token on the terminal, for its owner. Here: layout and wording. Not here: the numbers (`ml.explain`)."""

from __future__ import annotations

import math
import statistics
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from ml.states import Tier
from ml.text.times import utc_minute
from ml.text.visible import visible
from orchestration.cli.dollars import dollars_in_words
from orchestration.output.tables import TerminalTable
from orchestration.output.terminal import TerminalConsole, styled

TIER_WORDS = {
    Tier.OWN: "this collection's own model on top of its market's",
    Tier.POOLED: "the model of its market",
    Tier.INDEX: "the collection's price index",
    Tier.NONE: "none",
}

BASELINE_WORDS = {
    "index": "the index alone",
    "p20_50": "floor proxy",
    "med_30": "median of 30",
    "med_5": "median of 5",
    "last_index": "last sale, indexed",
}


def print_explanation(document: dict[str, Any], console: Console | None = None) -> None:
    """Print a document of `ml.explain.document.as_document`, with what `in_dollars` adds."""
    console = console or TerminalConsole(width_of_files=110)
    console.print(_headline(document))
    if document["steps"]:
        console.print(_steps(document))
    console.print(_last_sale(document))
    if document["comparables"]:
        console.print(_comparables(document))
    if document["estimate_eth"] is not None:
        console.print(_trust(document))
    for note in document["notes"]:
        console.print(styled((f"! {note}", "yellow")))


def eth(value: float | None, signed: bool = False, like: float | None = None) -> str:
    """A price: about four significant digits of it (or of `like`, in a column that adds up)."""
    if value is None:
        return "–"
    size = abs(value if like is None else like)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 1 else 4
    if 0 < size < 0.1:
        digits = 3 - math.floor(math.log10(size))
    return f"{value:{'+' if signed else ''},.{digits}f}"


def _headline(document: dict[str, Any]) -> Panel:
    text = Text()
    if document["estimate_eth"] is None:
        text.append("no value", style="bold")
        text.append(f"  {document['no_value_because']}\n")
    else:
        text.append(f"{eth(document['estimate_eth'])} ETH", style="bold")
        if document["interval_80_eth"] and document["interval_80_eth"][0] is not None:
            low, high = document["interval_80_eth"]
            text.append(f"   8 of 10 such tokens sell between {eth(low)} and {eth(high)}")
        if document["grade"]:
            text.append(f"   grade {document['grade']}")
        text.append("\n")
        if dollars := dollars_in_words(document):
            text.append(f"{dollars}\n")
    facts = [
        _floor(document),
        f"{document['sales_known']:,} sales of the collection known",
    ]
    if document["rarity_pct"] is not None:
        facts.append(f"rarer than {100 * document['rarity_pct']:.0f} % of the collection")
    text.append(" · ".join(facts))
    # A panel would read markup in a plain string.
    title = styled(f"{visible(document['collection'])} #{visible(document['token_id'])}")
    when = (
        f"as of {utc_minute(datetime.fromisoformat(document['as_of']))}"
        if document["as_of"]
        else "before the first features"
    )
    return Panel(text, title=title, subtitle=when, title_align="left", subtitle_align="left", expand=True)


def _floor(document: dict[str, Any]) -> str:
    """The floor in words: what can be bought now, or what stands in for it."""
    if document["lowest_ask_eth"] is not None:
        asks = document["live_asks"]
        which = f"the lowest of {asks:,} asks" if asks > 1 else "the only ask"
        asked_at = utc_minute(datetime.fromisoformat(document["lowest_ask_at"]))
        return f"floor {eth(document['lowest_ask_eth'])} ETH, {which} ({asked_at})"
    if document["floor_proxy_eth"] is not None:
        return f"floor proxy {eth(document['floor_proxy_eth'])} ETH (no ask is known)"
    return "no floor known"


def _steps(document: dict[str, Any]) -> TerminalTable:
    table = TerminalTable(title="How the price comes about", title_justify="left", expand=True)
    table.add_column("because of")
    table.add_column("times", justify="right")
    table.add_column("ETH", justify="right")
    estimate = document["estimate_eth"]
    for step in document["steps"]:
        if step["factor"] is None:
            table.add_row(visible(step["label"]), "", eth(step["eth_effect"], like=estimate))
            continue
        style = "green" if step["factor"] > 1.05 else "red" if step["factor"] < 0.95 else None
        amount = eth(step["eth_effect"], signed=True, like=estimate)
        table.add_row(visible(step["label"]), f"× {step['factor']:.3f}", amount, style=style)
    table.add_section()
    product = estimate / document["steps"][0]["eth_effect"]
    table.add_row("Estimate", f"× {product:.3f}", eth(estimate), style="bold")
    return table


def _last_sale(document: dict[str, Any]) -> Text:
    sale = document["last_sale"]
    if sale is None:
        return Text("This token: no arm's-length sale is known.\n")
    text = f"This token: last sold for {eth(sale['price_eth'])} ETH on {sale['sold_at'][:10]}"
    if sale["indexed_eth"] is not None:
        text += f"; moved with the collection's level since, that is {eth(sale['indexed_eth'])} ETH today"
    return Text(f"{text} ({sale['own_sales']} sale{'s' if sale['own_sales'] > 1 else ''} known).\n")


def _comparables(document: dict[str, Any]) -> TerminalTable:
    table = TerminalTable(title="Comparable sales", title_justify="left", expand=True)
    for name in (
        "token",
        "sold on",
        "alike",
        "paid ETH",
        "× market since",
        "× traits",
        "= for this one today",
    ):
        table.add_column(name, justify="left" if name in ("token", "sold on") else "right")
    for row in document["comparables"]:
        table.add_row(
            f"#{visible(row['sold_token_id'])}",
            row["sold_at"][:10],
            f"{100 * row['similarity']:.0f} %",
            eth(row["price_eth"]),
            f"× {row['level_factor']:.2f}",
            f"× {row['trait_factor']:.2f}",
            eth(row["adjusted_eth"]),
        )
    table.add_section()
    middle = statistics.median(row["adjusted_eth"] for row in document["comparables"])
    table.add_row("middle", "", "", "", "", "", eth(middle), style="bold")
    return table


def _trust(document: dict[str, Any]) -> Text:
    model, record = document["model"], document["track_record"]
    lines = [f"Valued by: {TIER_WORDS.get(document['tier'], document['tier'])}"]
    if model["version"]:
        trained = model["trained_until"] or model["market_model_trained_until"]
        lines[0] += f" ({model['version']}" + (
            f", trained on sales until {trained[:10]})" if trained else ")"
        )
    lines[0] += f". Newest sale seen: {document['watermark']} UTC."
    if record is None:
        lines.append("Track record: none yet in this collection.")
    else:
        covered = record["coverage_80"]
        lines.append(
            f"Track record: on the last {record['n']:,} sales here, each estimated before it, half were within "
            f"{100 * record['mdape']:.1f} %, level {record['level']:.2f}"
            + (f", {100 * covered:.0f} % inside their 80 % interval" if covered is not None else "")
            + ("." if record["enough"] else ". Too few to mean much.")
        )
        others = [
            f"{BASELINE_WORDS.get(name, name)} {100 * value:.1f} %"
            for name, value in record["baselines"].items()
            if value is not None
        ]
        lines.append(f"For comparison: {' · '.join(others)}.")
    return styled("\n".join(lines))
