"""Limits that one process counts: in windows, each for itself, and without a thread."""

from __future__ import annotations

import threading
import time

from serving.api.limiting import Limiter


def test_a_window_that_is_over_begins_anew_and_addresses_count_apart() -> None:
    limiter = Limiter("", "2/second")
    assert [limiter.wait_of_address("10.0.0.1") is None for _ in range(3)] == [True, True, False]
    assert limiter.wait_of_address("10.0.0.2") is None
    assert 0 < (limiter.wait_of_address("10.0.0.1") or 0) <= 1
    time.sleep(1.1)
    assert limiter.wait_of_address("10.0.0.1") is None


def test_counting_starts_no_thread() -> None:
    limiter = Limiter("", "1000000/minute")
    time.sleep(0.2)  # the storage of `limits` starts one when it is made
    before = set(threading.enumerate())
    started = [
        set(threading.enumerate()) - before
        for n in range(2_000)
        if limiter.wait_of_address(f"a{n % 7}") is None
    ]
    assert not any(started)
    assert len(started) == 2_000
