"""Times that a person reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from ml.text.times import utc_minute, utc_second


def test_a_time_is_written_in_utc_whatever_its_zone() -> None:
    naive = datetime(2026, 1, 1, 0, 30, 15, 500)  # noqa: DTZ001
    assert utc_minute(naive) == "2026-01-01 00:30 UTC"
    assert utc_second(naive.replace(tzinfo=UTC)) == "2026-01-01 00:30:15 UTC"
    assert utc_minute(naive.replace(tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31 22:30 UTC"
    assert utc_minute(None) == utc_second(None) == "never"
