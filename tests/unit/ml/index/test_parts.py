"""However a chunk is cut and wherever its parts are computed, the index is the same to the last bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pytest

from ml.compute.backend import ThreadBackend
from ml.compute.tasks import Raised
from ml.index import parts
from ml.index.chunks import Chunk, number_chunks, read_chunks
from ml.index.tables import plan_work
from ml.index.update import update_index
from tests.unit.ml.features.market import make_sales, write_marts
from tests.unit.ml.index.oracle import SMALL_WINDOW


@dataclass
class Scrambled:
    """Computes all at the end, in an order of its own, on arrays that cannot be written to, as from a cluster.

    Attributes:
        fails: The number of the task that is out of memory, or None.
    """

    fails: int | None = None
    slots: int = 3

    def run(
        self,
        function: Callable[[Any], Any],
        tasks: Iterable[Any],
        ahead: int | None = None,  # noqa: ARG002
    ) -> Iterator[tuple[Any, Any]]:
        found = list(tasks)
        random.Random(5).shuffle(found)
        for number, task in enumerate(found):
            for values in (*task.batch, task.noise):
                values.setflags(write=False)
            yield task, Raised(MemoryError("out of memory")) if number == self.fails else function(task)


def stored(**options: Any) -> dict[str, list[Any]]:
    con = duckdb.connect()
    write_marts(con, make_sales())
    update_index(con, params=SMALL_WINDOW, **options)
    return {
        table: con.execute(f"select * from features.{table} order by all").fetchall()
        for table in ("hedonic_index", "token_index", "index_state")
    }


@pytest.mark.parametrize("in_a_chunk", [1, 7])
@pytest.mark.parametrize("backend", [ThreadBackend(1), ThreadBackend(5, ahead=0), Scrambled()])
@pytest.mark.parametrize("entries", [50, 4_000_000])
def test_cuts_and_backends_change_no_number(
    backend: Any, entries: int, in_a_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = stored()
    monkeypatch.setattr(parts, "PARTS", in_a_chunk)
    assert stored(backend=backend, chunk_entries=entries) == expected
    assert expected["hedonic_index"]


def test_what_a_part_raises_ends_the_update_and_writes_no_state() -> None:
    con = duckdb.connect()
    write_marts(con, make_sales())
    with pytest.raises(MemoryError, match="out of memory"):
        update_index(con, Scrambled(fails=2), params=SMALL_WINDOW, chunk_entries=50)
    assert con.execute("select count(*) from features.index_state").fetchone() == (0,)


def test_a_collection_larger_than_a_chunk_is_one_of_its_own() -> None:
    con = duckdb.connect()
    write_marts(con, make_sales())
    plan_work(con, SMALL_WINDOW)
    count = number_chunks(con, 1)
    assert [len(chunk.ids) for chunk in read_chunks(con, count, SMALL_WINDOW)] == [1] * count


def test_parts_cover_a_chunk_once_and_change_nothing_of_their_task() -> None:
    con = duckdb.connect()
    write_marts(con, make_sales())
    plan_work(con, SMALL_WINDOW)
    (chunk,) = read_chunks(con, number_chunks(con, 4_000_000), SMALL_WINDOW)
    assert isinstance(chunk, Chunk)
    cut = parts.cut_chunk(chunk, SMALL_WINDOW)
    assert [part.first for part in cut] == [0, *(part.last for part in cut[:-1])]
    assert cut[-1].last == len(chunk.ids)
    before = [np.array(cut[0].noise), *(np.array(values) for values in cut[0].batch)]
    parts.compute_part(cut[0])
    for old, new in zip(before, [cut[0].noise, *cut[0].batch], strict=True):
        np.testing.assert_array_equal(old, new)
