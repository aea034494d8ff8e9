"""The leaks of docs/domain.md, section 4 as raw rows: what each plants, in a collection of its own.

Every plant adds information about the victims (sales of `market.base_market`) that was not known before them.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

from tests.integration.marts_market import Row, sale
from tests.leaks.market import DAYS, END, FILLED, LAST_DAY, Tables, listing, mana, rate, traits_of

_FIRST_NUMBER = 100_000


def planted(base: Tables) -> Tables:
    """All plants together; they do not meet, because each stays in its collection and rates only get more."""
    tables: Tables = defaultdict(list)
    for plant in (
        sweep,
        filled_listings,
        late_listings,
        reveal,
        completed_wash,
        late_rates,
        later_sales,
        vague_sales,
    ):
        for name, rows in plant(base).items():
            tables[name].extend(rows)
    return tables


def victims(base: Tables, collection: str) -> list[Row]:
    """The sales of the last day."""
    return [r for r in base["sales"] if r["collection"] == collection and r["event_time"] >= LAST_DAY]


def _sale_like(row: Row, number: int, **changes: object) -> Row:
    """Another sale at the same price, reported as a sale of its own."""
    fresh = sale(_FIRST_NUMBER + number)
    own = {k: fresh[k] for k in ("tx_hash", "buyer", "seller", "source_row")}
    return {**row, **own, **changes}


def sweep(base: Tables) -> Tables:
    """Siblings of a sweep at the victims' time and price: in blocks with them, and in their transactions."""
    rows = []
    for number, row in enumerate(victims(base, "sweep")):
        rows += [
            _sale_like(row, number * 10 + i, token_id=str((int(row["token_id"]) + 3 * i) % 24))
            for i in range(3)
        ]
        # Known a moment after the victim: before it, the victim would itself be one of several in a transaction.
        later = row["known_at"] + timedelta(seconds=1)
        rows.append(
            _sale_like(
                row, number * 10 + 5, tx_hash=row["tx_hash"], log_index=1, token_id="23", known_at=later
            )
        )
    return {"sales": rows}


def filled_listings(base: Tables) -> Tables:
    """The ask that the sale filled: made two hours before it, by its seller, at exactly its price."""
    rows = []
    for name in FILLED:
        for row in victims(base, name):
            made = row["event_time"] - timedelta(hours=2)
            ask = listing(name, int(row["token_id"]), made, row["price_native"], f"{name}-filled")
            filled = {"event_kind": "filled", "event_time": row["event_time"], "known_at": row["event_time"]}
            rows += [ask, {**ask, **filled}]
    return {"listings": rows}


def late_listings(base: Tables) -> Tables:
    """Asks and bids at the sale's price that happened before it, as we learn after it."""
    rows = []
    for number, row in enumerate(r for r in base["sales"] if r["collection"] == "late_listing"):
        made = row["event_time"] - timedelta(hours=1)
        for side, token in (("ask", (int(row["token_id"]) + 1) % 24), ("bid", None)):
            late = listing("late_listing", token, made, row["price_native"], f"late-{side}-{number}")
            rows.append({**late, "side": side, "known_at": END})
    return {"listings": rows}


def reveal(base: Tables) -> Tables:
    """The traits that make the prices, revealed after every sale."""
    return {"token_traits": traits_of("reveal", known_days=DAYS + 2)}


def completed_wash(base: Tables) -> Tables:
    """The buyers of the victims sell back to the sellers and buy again: a pattern complete only afterwards."""
    rows = []
    for number, row in enumerate(victims(base, "washed")):
        for leg in range(5):
            at = END + timedelta(minutes=10 * leg + number)
            pair = {"buyer": row["seller"], "seller": row["buyer"]} if leg % 2 == 0 else {}
            own = {"buyer": row["buyer"], "seller": row["seller"], "event_time": at, "known_at": at}
            rows.append(_sale_like(row, 1000 + number * 10 + leg, **{**own, **pair}))
    return {"sales": rows}


def late_rates(base: Tables) -> Tables:
    """The rate of the very hour, published after every sale, and corrections of the days."""
    rows = []
    for day in range(DAYS + 2):
        hourly = rate("MANA", mana(day), day, DAYS + 2, f"late:{day}")
        rows.append({**hourly, "granularity": "hour", "known_at": END + timedelta(seconds=day)})
        rows.append(rate("ETH", 3000.0, day, DAYS + 3 + day, f"corrected:{day}"))
    return {"exchange_rates": rows}


def later_sales(base: Tables) -> Tables:
    """Each token goes on to trade at the price it has, cheap ones often, dear ones once."""
    rows = []
    for number, row in enumerate(victims(base, "targets")):
        for again in range(1 if row["price_native"] > 1.2 else 6):
            at = END + timedelta(hours=again + 1, minutes=number)
            rows.append(_sale_like(row, 2000 + number * 10 + again, event_time=at, known_at=at))
    return {"sales": rows}


def vague_sales(base: Tables) -> Tables:
    """Sales at the victims' prices whose time is only known to the day or the hour, and may lie before or after."""
    rows = []
    for number, row in enumerate(victims(base, "vague")):
        noon = LAST_DAY + timedelta(hours=12)
        day = {"event_time": noon, "time_uncertainty_s": 43_200.0, "known_at": END}
        near = row["event_time"] - timedelta(minutes=10)
        hour = {"event_time": near, "time_uncertainty_s": 1800.0, "known_at": END}
        rows.append(_sale_like(row, 3000 + number * 10, token_id="21", **day))
        rows.append(_sale_like(row, 3001 + number * 10, token_id="22", **hour))
    return {"sales": rows}
