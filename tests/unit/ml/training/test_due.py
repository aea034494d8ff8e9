from catboost import CatBoostRegressor

from ml.registry.lost_files import BOOSTER, LostFile
from ml.training.due import collections_due
from tests.unit.ml.conftest import FEATURES, Market
from tests.unit.ml.training.test_collections import mirrored, train


def due(market: Market) -> list[str]:
    with market.lake.read() as con:
        return collections_due(con, features=FEATURES)


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


def test_a_champion_of_other_features_is_due_though_it_was_judged_under_this_very_prior(
    priced: Market,
) -> None:
    train(priced)
    change(priced, "update ops.champions set feature_fingerprint = 'older' where collection = 'apes'")
    assert due(priced) == ["apes"]
    booster = CatBoostRegressor(iterations=2, verbose=False, allow_writing_files=False)
    unnamed = priced.artifacts.put_model(booster.fit([[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0]))
    change(priced, f"update ops.champions set local_sha = '{unnamed}' where collection = 'apes'")
    report = train(priced, "run-2", keys=["apes"], features=FEATURES)
    assert not report.failed, (
        "its booster knows its columns by position only: there is nothing to compare with"
    )
    assert due(priced) == []


def test_a_collection_with_enough_newer_predictions_is_due(priced: Market) -> None:
    train(priced)
    assert mirrored(priced)
    change(
        priced,
        "insert into predictions.prior_walk_forward by name select * replace (known_at + interval 200 day as known_at)"
        " from predictions.prior_walk_forward where collection = 'cats'",
    )
    assert "cats" in due(priced)


def test_a_collection_whose_sales_are_set_aside_is_not_due_until_they_are_back(priced: Market) -> None:
    change(
        priced,
        "insert into ops.set_aside by name select 'features.sale_features' as stage, 'birds' as collection"
        " union all by name select 'features.token_features' as stage, 'cats' as collection",
    )
    others = due(priced)
    assert "birds" not in others
    assert "cats" in others, "it can be trained: only its token features are missing"
    train(priced, keys=["birds"])
    change(priced, "update ops.champions set feature_fingerprint = 'older'")
    with priced.lake.read() as con:
        lost = LostFile(BOOSTER, "birds", "birds@1", True, "it is gone")
        assert "birds" not in collections_due(con, features=FEATURES, lost=[lost])
    change(priced, "delete from ops.set_aside")
    assert "birds" in due(priced)
