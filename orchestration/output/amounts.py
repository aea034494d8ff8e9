"""Amounts for people."""

from __future__ import annotations


def amount(value: float | None, signed: bool = False) -> str:
    """A number with about four significant digits, or a dash."""
    if value is None:
        return "—"
    sign = "+" if signed else ""
    return f"{value:{sign},.0f}" if abs(value) >= 10_000 else f"{value:{sign}.4g}"
