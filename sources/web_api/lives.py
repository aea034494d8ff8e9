"""The life of an order: created, cancelled, filled, expired.

Here: what follows from all items of one order. Not here: the values of an item, which each API names in its own way.

An order that a list of what stands no longer has, twice in a row, was cancelled between its last reading with it and
the first one without it, unless it was filled or had ended by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from sources.web_api.rows import Record, Values, record_of, time_text
from sources.web_api.store import Item, Store

CREATED, CANCELLED, FILLED, EXPIRED = "created", "cancelled", "filled", "expired"


@dataclass(frozen=True)
class OrderEvent:
    """What an item says of an order.

    Attributes:
        kind: created, cancelled or filled.
        record: The row, as far as the item says it.
    """

    kind: str
    record: Record


def lives(
    store: Store,
    streams: Sequence[str],
    first: int,
    end: int,
    event_of: Callable[[Item], OrderEvent | None],
) -> Iterator[Record]:
    """Events of orders that became known in first <= time < end (microseconds).

    Args:
        store: Items with links `order:…`.
        streams: Streams that know orders.
        first: From this time on.
        end: Before this time.
        event_of: What an item says; None: nothing about an order.
    """
    for items in store.related("order", streams, first, end).values():
        for record in _life(store, items, event_of):
            if first <= record.known < end:
                yield record


def _life(
    store: Store, items: Sequence[Item], event_of: Callable[[Item], OrderEvent | None]
) -> Iterator[Record]:
    events = [(item, event) for item in items if (event := event_of(item)) is not None]
    made = next(((item, event.record) for item, event in events if event.kind == CREATED), None)
    known_end: int | None = None
    reported: set[str] = set()
    for item, event in events:
        if event.kind in reported:
            continue
        if event.kind == FILLED and made is None:
            continue  # nothing is known of the order; the sale has a row of its own
        if event.kind != CREATED and made is not None and made[1].refused is not None:
            continue  # the order is in quarantine, as a whole
        reported.add(event.kind)
        record = event.record
        if event.kind != CREATED:
            # From when both the order and what became of it are known.
            known = max(item.known, made[0].known) if made else item.known
            known_end = known if known_end is None else min(known, known_end)
            record = replace(record, known=known)
            if made is not None:
                record = _after(made[1], event.kind, record)
        yield record
    if made is None or made[1].refused is not None:
        return
    for item, event in events:
        if event.kind != CREATED or (gone := store.gone(item)) is None:
            continue
        last, absent, known = gone
        # What was reported before another end was known stays reported.
        if (item.ends is None or item.ends > absent) and (known_end is None or known_end > known):
            middle, half = (last + absent) // 2, (absent - last) / 2_000_000
            ending = record_of(item, {"event_time": time_text(middle), "time_uncertainty_s": f"{half:.6f}"})
            yield _after(made[1], CANCELLED, replace(ending, known=known))
            known_end = known
            break
    ends = made[0].ends
    if ends is not None and (known_end is None or known_end > ends):
        ending = record_of(made[0], {"event_time": time_text(ends), "time_uncertainty_s": "0"})
        yield _after(made[1], EXPIRED, replace(ending, known=max(ends, made[0].known)))


def _after(made: Record, kind: str, ending: Record) -> Record:
    """A later event of an order: its own time, everything else as the order was made."""
    own: Values = {k: ending.values.get(k) for k in ("event_time", "time_uncertainty_s")}
    return replace(
        made,
        row=f"{ending.row}:{kind}",
        known=ending.known,
        values={**made.values, **own, "event_kind": kind},
    )
