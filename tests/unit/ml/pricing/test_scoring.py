import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest
from catboost import CatBoostRegressor

from ml.compute.matrix import FeatureMismatchError
from ml.pricing.rescoring import collections_to_score
from ml.pricing.score_report import ScoreReport
from ml.pricing.scoring import score
from ml.states import Tier
from tests.model_files import file_of
from tests.unit.ml.conftest import END, FEATURES, Market
from tests.unit.ml.training.test_collections import mirrored, train

pytestmark = pytest.mark.slow


def run(market: Market, **options: Any) -> ScoreReport:
    with market.lake.write("score") as con:
        return score(
            con,
            market.artifacts,
            options.pop("as_of", END),
            7,
            features=options.pop("features", FEATURES),
            **options,
        )


def see(market: Market, as_of: datetime, collection: str = "%") -> None:
    """Token features as built for another time."""
    with market.lake.write("features") as con:
        con.execute(
            "update features.token_features set as_of = $1 where collection like $2", [as_of, collection]
        )


def rows(market: Market, sql: str) -> list[tuple[Any, ...]]:
    with market.lake.read() as con:
        return con.execute(sql).fetchall()


def test_every_token_gets_an_estimate_or_a_reason(priced: Market) -> None:
    train(priced)
    report = run(priced)
    assert report.tokens == 7 * 40
    assert report.collections_by_tier == {Tier.OWN: 1, Tier.POOLED: 3, Tier.INDEX: 1, Tier.NONE: 2}
    assert report.tokens_by_reason == {"fewer_than_3_sales": 40, "silent_over_90_days": 40}
    assert not rows(
        priced,
        """
        select * from predictions.token_estimates
        where (estimate_eth is null) <> (no_value_reason is not null) or (tier = 'none') <> (estimate_eth is null)
            or not (lower_90_eth <= lower_80_eth and lower_80_eth < estimate_eth and estimate_eth < upper_80_eth
                and upper_80_eth <= upper_90_eth)
            or (grade is null) <> (upper_80_eth is null)
            or snapshot_id <> 7 or feature_fingerprint <> 'features-1'
        """,
    )
    facts = "select distinct floor_proxy_eth > 0 from predictions.token_estimates where collection = 'gone'"
    assert rows(priced, facts) == [(True,)]  # inactive, but its floor is still given


def test_the_own_model_prices_what_only_it_can_know(priced: Market) -> None:
    train(priced)
    run(priced)
    found = dict(
        rows(
            priced,
            """
            select e.collection, ln(median(estimate_eth) filter (token_id::int % 4 = 0)
                / median(estimate_eth) filter (token_id::int % 4 <> 0))
            from predictions.token_estimates as e where e.collection in ('apes', 'birds') group by 1
            """,
        )
    )
    assert found["apes"] > 0.1
    assert abs(found["birds"]) < 0.05


def test_a_rerun_adds_no_history_and_a_later_time_does(priced: Market) -> None:
    train(priced)
    first = run(priced)
    before = rows(priced, "select * from predictions.token_estimates order by all")
    assert run(priced).history_rows == 0
    assert rows(priced, "select * from predictions.token_estimates order by all") == before
    see(priced, END + timedelta(hours=1))
    assert run(priced, as_of=END + timedelta(hours=1)).history_rows == first.history_rows == 5 * 40


def test_a_part_can_be_scored_alone(priced: Market) -> None:
    train(priced)
    run(priced)
    later = END + timedelta(hours=1)
    see(priced, later, "apes")
    assert run(priced, only=["apes"], as_of=later).tokens == 40
    found = rows(priced, "select as_of, count(*) from predictions.token_estimates group by 1 order by 1")
    assert found == [(END, 240), (later, 40)]


def test_without_any_model_the_index_answers(market: Market) -> None:
    report = run(market)
    assert report.collections_by_tier == {Tier.INDEX: 5, Tier.NONE: 2}


def test_a_lost_booster_is_replaced_by_the_next_tier_and_reported(priced: Market) -> None:
    train(priced)
    sha = mirrored(priced)["apes"].local_sha
    file_of(priced.artifacts, sha).unlink()
    report = run(priced)
    assert list(report.replaced_champions) == ["apes"]
    assert report.collections_by_tier[Tier.POOLED] == 4


def apes(market: Market) -> dict[str, float]:
    return dict(
        rows(
            market, "select token_id, estimate_eth from predictions.token_estimates where collection = 'apes'"
        )
    )


@pytest.mark.parametrize(
    ("change", "traits", "types"),
    [
        (
            "a type is added before the others",
            "list_prepend('gold', trait_values)",
            ("background", "eyes", "hat"),
        ),
        ("a type is added behind the others", "list_append(trait_values, 'big')", ("eyes", "hat", "zodiac")),
        ("the types change places", "list_reverse(trait_values)", ("hat", "eyes")),
        ("a type that no token has is removed", "trait_values[1:1]", ("eyes",)),
        ("a type that no token has is swapped for another", "trait_values", ("eyes", "zodiac")),
    ],
)
def test_a_booster_finds_its_traits_by_name(
    priced: Market, change: str, traits: str, types: tuple[str, ...]
) -> None:
    train(priced)
    run(priced)
    before = apes(priced)
    write_traits(priced, traits, types)
    report = run(priced)
    assert not report.replaced_champions
    assert apes(priced) == before, change


@pytest.mark.parametrize(
    ("change", "traits", "types"),
    [
        ("the type is removed", "trait_values[2:2]", ("hat",)),
        ("the type is renamed", "trait_values", ("face", "hat")),
        ("all traits are gone", "[]::varchar[]", ()),
        ("a token's traits are not known", "[]::varchar[]", ("eyes", "hat")),
    ],
)
def test_a_trait_that_is_gone_is_absent_for_every_token(
    priced: Market, change: str, traits: str, types: tuple[str, ...]
) -> None:
    train(priced)
    write_traits(priced, traits, types)
    report = run(priced)
    assert not report.replaced_champions
    found = apes(priced)
    assert found["4"] / found["5"] < 1.1, change  # the laser of token 4 is not known any more
    assert report.collections_by_tier[Tier.OWN] == 1


def write_traits(market: Market, traits: str, types: tuple[str, ...]) -> None:
    with market.lake.write("other traits") as con:
        con.execute(f"update marts.dim_tokens set trait_values = {traits}")
        con.execute("delete from marts.dim_trait_values")
        for code, name in enumerate(types):
            con.execute(
                "insert into marts.dim_trait_values select distinct collection, $1, $2 from marts.dim_tokens",
                [code, name],
            )


def test_a_booster_of_an_earlier_version_is_replaced_by_the_next_tier(priced: Market) -> None:
    train(priced)
    unnamed = CatBoostRegressor(iterations=2, verbose=False, allow_writing_files=False)
    unnamed.fit([[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0])
    with priced.lake.write("an older booster") as con:
        con.execute("update ops.champions set local_sha = $1", [priced.artifacts.put_model(unnamed)])
    report = run(priced)
    assert "found the column '0'" in report.replaced_champions["apes"]
    assert Tier.OWN not in report.tokens_by_tier


def test_features_of_another_fingerprint_are_refused(priced: Market) -> None:
    with pytest.raises(FeatureMismatchError, match="retrain"):
        run(priced, features=dataclasses.replace(FEATURES, fingerprint="features-9"))


def test_a_source_that_ended_does_not_make_a_collection_inactive(priced: Market) -> None:
    train(priced)
    with priced.lake.write("the source ended with the last sale") as con:
        con.execute(
            "update marts.dim_collections set covered_until ="
            " (select max(known_at) from marts.fct_sales as s where s.collection = dim_collections.collection)"
        )
    assert "silent_over_90_days" not in run(priced).tokens_by_reason


def test_only_what_changed_is_scored_again(priced: Market) -> None:
    train(priced)
    with priced.lake.read() as con:
        assert collections_to_score(con, END, FEATURES) is None  # never scored: everything
    run(priced)
    with priced.lake.read() as con:
        assert collections_to_score(con, END, FEATURES) == []
    see(priced, END + timedelta(hours=1), "birds")
    with priced.lake.write("apes got a new champion") as con:
        con.execute("update ops.champions set version = version + 1 where collection = 'apes'")
    with priced.lake.read() as con:
        assert collections_to_score(con, END, FEATURES) == ["apes", "birds"]
        # Ninety days later everything that had a value has been inactive for too long.
        assert len(collections_to_score(con, END + timedelta(days=91), FEATURES) or []) == 5


def test_a_collection_without_a_champion_follows_the_live_prior(priced: Market) -> None:
    train(priced)
    with priced.lake.write("cats lose their champion") as con:
        con.execute("delete from ops.champions where collection = 'cats'")
    run(priced)
    with priced.lake.read() as con:
        assert collections_to_score(con, END, FEATURES) == []
    with priced.lake.write("another prior") as con:
        con.execute("update ops.prior_folds set prior_version = 'newer'")
    with priced.lake.read() as con:
        assert collections_to_score(con, END, FEATURES) == ["cats"]


def test_a_price_that_no_token_can_be_worth_is_none_and_stops_no_other(priced: Market) -> None:
    train(priced)
    run(priced)
    (usual,) = rows(priced, "select count(*) from predictions.token_estimates where estimate_eth is not null")
    victim = rows(
        priced, "select collection, token_id from predictions.token_estimates where tier = 'pooled' limit 1"
    )[0]
    with priced.lake.write("a level of a billion ETH") as con:
        con.execute(
            "update features.token_features set base_log = 21 where collection = $1 and token_id = $2",
            [*victim],
        )
    report = run(priced)
    assert report.tokens_by_reason["implausible_value"] == 1
    found = rows(
        priced,
        "select collection, token_id, tier, upper_90_eth, grade from predictions.token_estimates"
        " where no_value_reason = 'implausible_value'",
    )
    assert found == [(*victim, Tier.NONE, None, None)]
    assert rows(
        priced, "select count(*) from predictions.token_estimates where estimate_eth is not null"
    ) == [(usual[0] - 1,)]


def put_aside(market: Market, collection: str, stage: str) -> None:
    with market.lake.write("set aside") as con:
        con.execute(
            "insert into ops.set_aside by name select $1 as stage, $2 as collection", [stage, collection]
        )


def reasons(market: Market, collection: str) -> set[str | None]:
    found = rows(
        market,
        f"select distinct no_value_reason from predictions.token_estimates where collection = '{collection}'",
    )
    return {row[0] for row in found}


def test_only_the_token_stage_is_the_reason_for_having_no_value(priced: Market) -> None:
    train(priced)
    put_aside(priced, "cats", "features.sale_features")
    put_aside(priced, "birds", "features.sale_features")
    put_aside(priced, "dogs", "features.token_features")
    put_aside(priced, "foxes", "features.token_features")
    with priced.lake.write("features are missing") as con:
        con.execute("delete from features.token_features where collection in ('birds', 'dogs')")
    run(priced)
    assert reasons(priced, "cats") == {None}, "valued by the models it has"
    assert reasons(priced, "birds") == {"no_features"}
    assert reasons(priced, "dogs") == {"set_aside"}
    assert reasons(priced, "foxes") == {"fewer_than_3_sales"}


def test_a_reason_follows_the_record(priced: Market) -> None:
    train(priced)
    with priced.lake.write("features are missing") as con:
        con.execute("delete from features.token_features where collection = 'birds'")
    run(priced)
    assert reasons(priced, "birds") == {"no_features"}
    put_aside(priced, "birds", "features.token_features")
    put_aside(priced, "foxes", "features.token_features")
    with priced.lake.read() as con:
        only = collections_to_score(con, END, FEATURES)
    assert only == ["birds"], "foxes have too few sales, whatever else"
    run(priced, only=only)
    assert reasons(priced, "birds") == {"set_aside"}
    with priced.lake.write("over") as con:
        con.execute("delete from ops.set_aside")
    with priced.lake.read() as con:
        assert collections_to_score(con, END, FEATURES) == ["birds"]
    run(priced, only=["birds"])
    assert reasons(priced, "birds") == {"no_features"}


def test_an_interval_without_an_end_is_no_value(priced: Market) -> None:
    train(priced)
    with priced.lake.write("a quantile without an end") as con:
        con.execute("update ops.interval_calibration set quantile_90 = 'infinity'")
    report = run(priced)
    assert set(report.tokens_by_reason) >= {"implausible_value"}
    assert rows(priced, "select count(*) from predictions.token_estimates where upper_90_eth > 1e9") == [(0,)]
