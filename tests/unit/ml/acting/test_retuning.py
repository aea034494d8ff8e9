"""A collection that training did not help comes first in the next tuning, whatever rests."""

from ml.tuning.worth import Worth, WorthRule, share_budget

RULE = WorthRule(studies=2, min_seconds=10)
CANDIDATES = [
    Worth(name, f"class {name}", 2000, value) for name, value in (("a", 3.0), ("b", 2.0), ("c", 1.0))
]


def test_those_that_were_asked_for_come_first_and_do_not_rest() -> None:
    chosen = share_budget(CANDIDATES, 100, RULE, {"c", "class c"}, first=("c",))
    assert [worth.collection for worth, _ in chosen] == ["c", "a"]
    assert sum(seconds for _, seconds in chosen) == 100


def test_nobody_gets_less_than_a_study_needs() -> None:
    chosen = share_budget(CANDIDATES, 30, RULE, (), first=("c",))
    assert [worth.collection for worth, _ in chosen] == ["c"]
