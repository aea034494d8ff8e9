"""A statement on the terminal, 80 columns. Here: layout and wording. Not here: the numbers (`ml.portfolio`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ml.text.times import utc_minute
from ml.text.visible import visible
from orchestration.output.amounts import amount
from orchestration.output.tables import TerminalTable
from orchestration.output.terminal import TerminalConsole

if TYPE_CHECKING:
    from ml.portfolio.history import DayValue, Return
    from ml.portfolio.statement import Statement

SHOWN_TOKENS = 50
"""Rows of the printed tables; --json and --csv have all."""

BAR_WIDTH = 20
SPARKS = "▁▂▃▄▅▆▇█"


def print_statement(
    statement: Statement, history: Sequence[DayValue], earned: Return | None, currency: str
) -> None:
    """Print a statement in ETH or US dollars."""
    console = TerminalConsole(width_of_files=80)
    if currency == "USD" and statement.ether_usd is None:
        console.print("! no rate of ether is known for that time: amounts are in ETH")
        currency = "ETH"
    rate = statement.ether_usd if currency == "USD" and statement.ether_usd is not None else 1.0

    def money(eth: float | None, signed: bool = False) -> str:
        return amount(None if eth is None else eth * rate, signed)

    if statement.tokens:
        console.print(_totals(statement, currency, money))
        console.print(_tokens(statement, currency, money))
    else:
        console.print("No token is held now: all that were got are sold, sent or burned.")
    if len(statement.tokens) > SHOWN_TOKENS:
        console.print(f"… and {len(statement.tokens) - SHOWN_TOKENS} more; --csv and --json have all")
    if statement.value.tokens:
        console.print(_shares(statement, money))
    if any(change.tokens for change in statement.changes):
        console.print(_changes(statement, money))
    for line in (_sold(statement, currency), _history(history, earned, money, currency)):
        if line:
            console.print(line)
    for line in _missing(statement):
        console.print(line)


Money = Callable[..., str]


def _totals(statement: Statement, currency: str, money: Money) -> TerminalTable:
    value = statement.value
    as_of = "Nothing is valued yet" if statement.as_of is None else f"As of {utc_minute(statement.as_of)}"
    table = TerminalTable(title=as_of, title_justify="left", show_header=False, expand=True)
    table.add_column("what")
    table.add_column("amount", justify="right")
    table.add_column("note")
    interval = "no interval"
    if value.lower_80_eth is not None:
        interval = f"80 %: {money(value.lower_80_eth)} to {money(value.upper_80_eth)} ({value.method})"
    table.add_row(f"value, {currency}", money(value.sum_eth), interval)
    for what, shown, note in _beside(statement, currency):
        table.add_row(what, shown, note)
    table.add_row("at floors", money(statement.floor_eth), "lowest ask, or its proxy, of each collection")
    table.add_row("last sales", money(statement.last_sales_eth), "what these tokens last sold for")
    if statement.tokens and statement.tokens[0]["basis_status"] is not None:
        cost = statement.cost_usd if currency == "USD" else statement.cost_eth
        known = len(statement.tokens) - statement.without_cost
        table.add_row("cost", amount(cost), f"of {known} tokens; {statement.without_cost} have no known cost")
        gain = statement.gain_usd if currency == "USD" else statement.gain_eth
        bounds = statement.gain_80_usd if currency == "USD" else statement.gain_80_eth
        low_high = ""
        if bounds is not None:
            low_high = f"80 %: {amount(bounds[0], signed=True)} to {amount(bounds[1], signed=True)}, "
        note = f"{low_high}{statement.valued_with_cost} tokens with value and cost"
        table.add_row("unrealised gain", amount(gain, signed=True), note)
    return table


def _beside(statement: Statement, currency: str) -> list[tuple[str, str, str]]:
    """The value in the other currency, and what the printed column of medians adds up to."""
    value, rate, rows = statement.value, statement.ether_usd, list[tuple[str, str, str]]()
    in_usd = currency == "USD" and rate is not None
    if rate is not None:
        note = f"at {rate:,.2f} USD per ETH, known {utc_minute(statement.ether_usd_at)}"
        other, worth = ("ETH", value.sum_eth) if in_usd else ("USD", value.sum_eth * rate)
        rows.append((f"value, {other}", amount(worth), note))
    medians = sum(
        row["estimate_eth"] * row["quantity"] for row in statement.tokens if row["estimate_eth"] is not None
    )
    note = "the column estimate adds up to this; the value is the sum of means, which are larger"
    rows.append(("sum of medians", amount(medians * (rate if in_usd and rate else 1.0)), note))
    return rows


def _tokens(statement: Statement, currency: str, money: Money) -> TerminalTable:
    with_cost = any(row["basis_status"] for row in statement.tokens)
    table = TerminalTable(
        "token", "grade", "estimate", "80 % interval", *(("cost", "gain") if with_cost else ()), expand=True
    )
    for place in (2, 3, 4, 5)[: 4 if with_cost else 2]:
        table.columns[place].justify = "right"
    ordered = sorted(statement.tokens, key=lambda row: (-(row["expected_eth"] or 0.0), row["collection"]))
    for row in ordered[:SHOWN_TOKENS]:
        interval = "—"
        if row["lower_80_eth"] is not None:
            interval = f"{money(row['lower_80_eth'])} to {money(row['upper_80_eth'])}"
        units = f" × {row['quantity']}" if row["quantity"] > 1 else ""
        cells = [
            visible(f"{row['collection']} #{row['token_id']}{units}"),
            row["grade"] or "—",
            money(row["estimate_eth"]) if row["estimate_eth"] is not None else "no value",
            interval,
        ]
        if with_cost:
            cells += _cost_cells(row, statement, currency)
        table.add_row(*cells)
    return table


def _cost_cells(row: dict[str, Any], statement: Statement, currency: str) -> list[str]:
    if row["cost_eth"] is None:
        return ["unknown", "—"]
    if currency == "USD":
        gain = None
        if (
            row["expected_eth"] is not None
            and row["cost_usd"] is not None
            and statement.ether_usd is not None
        ):
            gain = row["expected_eth"] * statement.ether_usd - row["cost_usd"]
        return [amount(row["cost_usd"]), amount(gain, signed=True)]
    return [amount(row["cost_eth"]), amount(row["gain_eth"], signed=True)]


def _shares(statement: Statement, money: Money) -> TerminalTable:
    table = TerminalTable(
        "collection", "units", "value", "share", "", "days to sell", title_justify="left", expand=True
    )
    table.title = "By collection; days to sell at the pace of the last 30 days"
    for place in (1, 2, 3, 5):
        table.columns[place].justify = "right"
    shown = statement.collections[:10]
    for row in shown:
        share = row["share"] or 0.0
        days = "no sales" if row["days_to_sell"] is None else amount(row["days_to_sell"])
        bar = "█" * max(round(share * BAR_WIDTH), 1 if share > 0 else 0)
        table.add_row(
            visible(row["collection"]),
            f"{row['units']:,}",
            money(row["value_eth"]),
            f"{share:.0%}",
            bar,
            days,
        )
    rest = statement.collections[len(shown) :]
    if rest:
        total = sum(row["value_eth"] for row in rest)
        table.add_row(f"{len(rest)} more", f"{sum(row['units'] for row in rest):,}", money(total), "", "", "")
    return table


def _changes(statement: Statement, money: Money) -> TerminalTable:
    table = TerminalTable(
        "days", "change", "market", "tokens", "models", "compared", title_justify="left", expand=True
    )
    table.title = "Change of the value, and what caused it"
    for column in table.columns:
        column.justify = "right"
    for change in statement.changes:
        parts = (change.change_eth, change.market_eth, change.tokens_eth, change.models_eth)
        cells = [money(part, signed=True) for part in parts] if change.tokens else ["—"] * 4
        table.add_row(str(change.days), *cells, f"{change.tokens} of {change.tokens + change.without}")
    return table


def _sold(statement: Statement, currency: str) -> str:
    if not statement.realized_sales:
        return ""
    realized = statement.realized_usd if currency == "USD" else statement.realized_eth
    gain = amount(realized, signed=True)
    unknown = statement.realized_unknown
    return f"realised {gain} {currency} by {statement.realized_sales} sales" + (
        f", {unknown} of them without a known gain, which are not in it; `assay gains` lists them"
        if unknown
        else ""
    )


def _history(history: Sequence[DayValue], earned: Return | None, money: Money, currency: str) -> str:
    if len(history) < 2 or earned is None:
        return ""
    values = [day.value_eth for day in history][-60:]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    line = "".join(SPARKS[min(int((value - low) / span * len(SPARKS)), len(SPARKS) - 1)] for value in values)
    rate = "no return" if earned.rate is None else f"time-weighted return {earned.rate:+.1%}"
    left_out = f", {earned.left_out} periods left out" if earned.left_out else ""
    return (
        f"value {str(history[0].as_of)[:10]} {line} {str(history[-1].as_of)[:10]}, {money(low)} to {money(high)} "
        f"{currency}; {rate}{left_out}"
    )


def _missing(statement: Statement) -> list[str]:
    """What could not be valued or has no cost, and why."""
    lines = []
    for title, name in (
        ("without a value", "no_value_reason"),
        ("without a known cost", "unknown_basis_reason"),
    ):
        reasons = Counter(row[name] for row in statement.tokens if row[name])
        if reasons:
            listed = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
            lines.append(f"{sum(reasons.values())} tokens {title}: {listed}")
    return lines
