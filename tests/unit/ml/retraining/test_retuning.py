"""A collection that training did not help comes first in the next tuning, whatever rests."""

from datetime import datetime

from ml.tuning.worth import Worth, WorthRule, share_budget

NOW = datetime(2024, 5, 1)  # noqa: DTZ001 - as-of time is naive UTC
LATER = datetime(2024, 7, 1)  # noqa: DTZ001
RULE = WorthRule(studies=2, min_seconds=10)
CANDIDATES = [
    Worth(name, f"class {name}", 2000, value, NOW) for name, value in (("a", 3.0), ("b", 2.0), ("c", 1.0))
]


def test_requested_collections_come_first_and_do_not_rest() -> None:
    chosen = share_budget(CANDIDATES, 100, RULE, {"c": LATER, "class c": LATER}, first=("c",))
    assert [worth.collection for worth, _ in chosen] == ["c", "a"]
    assert sum(seconds for _, seconds in chosen) == 100


def test_no_collection_gets_less_than_a_study_needs() -> None:
    chosen = share_budget(CANDIDATES, 30, RULE, {}, first=("c",))
    assert [worth.collection for worth, _ in chosen] == ["c"]
