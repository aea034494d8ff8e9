"""Tasks on threads: how far ahead they are read, and what becomes of their errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ml.compute.backend import ThreadBackend
from ml.compute.tasks import Raised


@pytest.mark.parametrize(("ahead", "most"), [(0, 2), (3, 5), (None, 2 + 7)])
def test_no_more_tasks_are_read_than_asked_for(ahead: int | None, most: int) -> None:
    read = 0

    def tasks() -> Iterator[int]:
        nonlocal read
        for number in range(40):
            read += 1
            yield number

    given = 0
    for task, result in ThreadBackend(workers=2, ahead=7).run(str, tasks(), ahead):
        assert result == str(task)
        assert read - given <= most
        given += 1
    assert given == 40


def test_an_error_is_the_result_of_its_task_alone() -> None:
    found = dict(ThreadBackend(workers=2).run(int, ["1", "two", "3"]))
    wrong = found.pop("two")
    assert isinstance(wrong, Raised)
    assert isinstance(wrong.error, ValueError)
    assert found == {"1": 1, "3": 3}
