from ml.models.due import collections_due
from tests.unit.ml.models.conftest import Market
from tests.unit.ml.models.test_training import mirrored, train


def due(market: Market) -> list[str]:
    with market.lake.read() as con:
        return collections_due(con)


def change(market: Market, sql: str) -> None:
    with market.lake.write("change") as con:
        con.execute(sql)


def test_what_was_judged_is_due_again_only_with_new_predictions_or_another_prior(priced: Market) -> None:
    everything = due(priced)
    assert everything == ["apes", "birds", "cats", "dogs", "eels", "gone"]
    train(priced)
    assert due(priced) == []
    # as after a rejection or a rollback: the champion rests on an older prior and has seen little
    change(priced, "update ops.champions set prior_version = 'older', trained_until = timestamp '2022-01-01'")
    assert due(priced) == []
    change(priced, "delete from ops.champions where collection = 'apes'")
    assert due(priced) == ["apes"]
    change(priced, "update ops.prior_folds set prior_version = 'newer'")
    assert due(priced) == everything


def test_a_collection_with_enough_newer_predictions_is_due(priced: Market) -> None:
    train(priced)
    assert mirrored(priced)
    change(
        priced,
        "insert into predictions.prior_walk_forward by name select * replace (known_at + interval 200 day as known_at)"
        " from predictions.prior_walk_forward where collection = 'cats'",
    )
    assert "cats" in due(priced)
