"""Track records: the same numbers for one collection as for many, from formulas written out once more."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pytest

from ml.explain.track_record import track_record, track_records


@pytest.fixture
def walked() -> duckdb.DuckDBPyConnection:
    """Three collections of 100, 30 and 1 sales; own models priced half of the first, one sale has no interval."""
    con = duckdb.connect()
    con.execute(
        """
        create schema predictions;
        select setseed(0.5);
        create table predictions.prior_walk_forward as
        select collection || '-' || seq as sale_id, collection, seq, timestamp '2026-01-01' + to_hours(seq) as known_at,
            ln(1 + random()) as target_log, ln(1 + random()) as prediction_log, ln(1 + random()) as base_log,
            case when seq <> 90 then 0.2 end as half_80, ln(1 + random()) as floor_log, ln(1 + random()) as med_30_log,
            null::double as med_5_log, case when seq % 2 = 0 then ln(1 + random()) end as last_index_log
        from (values ('a''; drop table x', 100), ('b', 30), ('c', 1)) as t (collection, n), range(n) as r (seq);
        create table predictions.local_walk_forward as
        select sale_id, collection, prediction_log + 0.1 as prediction_log from predictions.prior_walk_forward
        where collection like 'a%' and seq >= 50;
        """
    )
    return con


def test_one_and_many_and_the_formulas_agree(walked: duckdb.DuckDBPyConnection) -> None:
    many = track_records(walked, ["a'; drop table x", "b", "c", "unknown"])
    assert many.keys() == {"a'; drop table x", "b", "c"}
    for name, n in (("a'; drop table x", 30), ("b", 20), ("c", 1)):
        found = many[name]
        assert track_record(walked, name) == found
        rows: dict[str, Any] = walked.execute(
            "select w.*, coalesce(l.prediction_log, w.prediction_log) as model_log "
            "from predictions.prior_walk_forward w left join predictions.local_walk_forward l using (sale_id) "
            "where w.collection = $1 order by seq desc limit $2",
            [name, n],
        ).fetchnumpy()
        ratio = np.exp(rows["model_log"] - rows["target_log"])
        inside = np.abs(np.log(ratio))[~np.ma.getmaskarray(rows["half_80"])] <= 0.2
        assert (found.n, found.enough) == (n, n >= 20)
        assert found.mdape == pytest.approx(np.median(np.abs(ratio - 1)))
        assert found.level == pytest.approx(np.median(ratio))
        assert found.coverage_80 == pytest.approx(inside.mean())
        assert found.baselines["index"] == pytest.approx(
            np.median(np.abs(np.exp(rows["base_log"] - rows["target_log"]) - 1))
        )
        assert found.baselines["med_5"] is None
        assert found.until > found.since or n == 1


def test_nothing_walked_has_no_record(walked: duckdb.DuckDBPyConnection) -> None:
    assert track_record(walked, "unknown") is None
    assert track_records(walked, []) == {}
