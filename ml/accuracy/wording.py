"""Numbers as the report prints them. Here: formats. Not here: what is printed where (`ml.accuracy.content`)."""

from __future__ import annotations


def percent(share: float | None, digits: int = 1) -> str:
    """A fraction in percent without the sign: 0.1234 → 12.3; None → –."""
    return "–" if share is None else f"{100 * share:.{digits}f}"


def decimal(value: float | None, digits: int = 3) -> str:
    """A plain number; None → –."""
    return "–" if value is None else f"{value:.{digits}f}"


def whole(value: float | None) -> str:
    """A count with thousands separators; None → –."""
    return "–" if value is None else f"{value:,.0f}"


def ci(pair: list[float] | None, *, shares: bool = True) -> str:
    """An interval, in percent unless `shares` is false: 8.1 … 9.4; None → –."""
    if pair is None:
        return "–"
    show = percent if shares else decimal
    return f"{show(pair[0])} … {show(pair[1])}"
