"""A time in a line that a person reads. Here: the one form of it. Not here: times for programs (ISO 8601 with Z)."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_minute(at: datetime | None) -> str:
    """`2026-01-01 00:00 UTC`; a time without a zone is UTC, as the lake keeps it; no time is `never`."""
    return "never" if at is None else f"{_in_utc(at):%Y-%m-%d %H:%M} UTC"


def utc_second(at: datetime | None) -> str:
    """`2026-01-01 00:00:00 UTC`: for times that are compared with each other."""
    return "never" if at is None else f"{_in_utc(at):%Y-%m-%d %H:%M:%S} UTC"


def _in_utc(at: datetime) -> datetime:
    return at if at.tzinfo is None else at.astimezone(UTC)
