"""Rows of the store are the same however many of them one statement reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.store import lake_reader
from serving.store.lake_reader import history_rows, token_rows
from tests.unit.serving.market import Market


def test_rows_do_not_depend_on_how_many_are_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Market(tmp_path / "home")
    market.open(("Apes", "Birds", "Cats"))
    with market.lake.read() as con:
        names = con.execute(
            "select distinct collection from predictions.token_estimates order by 1 desc"
        ).fetchall()
        ids = {name: number for number, (name,) in enumerate(names)}
        for read in (token_rows, history_rows):
            whole = [row for batch in read(con, ids) for row in batch]
            for size in (10**18, 10**8):  # one row fits into memory, or some
                monkeypatch.setattr(lake_reader, "BYTES_A_ROW", size)
                assert [row for batch in read(con, ids) for row in batch] == whole
            monkeypatch.undo()
            assert {row[0] for row in whole} == {0, 1, 2}
