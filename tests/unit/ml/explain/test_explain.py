"""An explanation adds up to the price that was given, and every share in it is what its label states."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.explain.document import as_document
from ml.explain.errors import ExplainError, PriorForgottenError, UnknownNameError
from ml.explain.explain import Explanations, explain
from ml.explain.tables import write_explanations
from ml.features.build import build_token_features
from ml.states import Tier
from ml.tables.registry import TABLES
from tests.unit.ml.explain.conftest import COLD, FEW, NOW, OWN, POOLED, Market

pytestmark = pytest.mark.slow


def explained(market: Market, collection: str, *tokens: str, k: int = 5) -> Explanations:
    with market.lake.read() as con:
        return explain(con, market.artifacts, collection, tokens or None, k=k)


@pytest.mark.parametrize(
    ("collection", "tier"), [(OWN, Tier.OWN), (POOLED, Tier.POOLED), (COLD, Tier.POOLED)]
)
def test_parts_add_up_to_the_stored_estimate(market: Market, collection: str, tier: str) -> None:
    found = explained(market, collection)
    assert found.used.tier == tier
    assert found.consistent
    assert found.notes == ()
    parts = found.components.to_pandas().groupby("token_id")
    stored = found.tokens.to_pandas().set_index("token_id").estimate_eth
    assert len(stored) == parts.ngroups > 0
    assert np.abs(np.exp(parts.log_effect.sum()) / stored - 1).max() < 1e-6
    assert np.abs(parts.eth_effect.sum() / stored - 1).max() < 1e-6


def test_one_token_is_explained_as_among_all(market: Market) -> None:
    one, everything = explained(market, OWN, "7"), explained(market, OWN)
    ours = everything.components.to_pandas().query("token_id == '7'")
    theirs = one.components.to_pandas()
    assert list(theirs.label) == list(ours.label)
    np.testing.assert_allclose(theirs.log_effect, ours.log_effect, atol=1e-9)
    np.testing.assert_allclose(
        one.comparables["adjusted_eth"],
        everything.comparables.to_pandas().query("token_id == '7'").adjusted_eth,
        rtol=1e-9,
    )


def test_a_trait_is_priced_by_its_value_and_against_the_average_token(market: Market) -> None:
    parts = explained(market, POOLED).components.to_pandas().query("component == 'index_trait'")
    by_label = parts.groupby("label").log_effect
    assert set(by_label.groups) >= {"hat: 0", "eyes: 1", "mouth: 2"}
    assert abs(parts.groupby("token_id").log_effect.sum().mean()) < 1e-9
    # Tokens with one value differ only by how much their other traits count: the sign is the value's.
    same_sign = by_label.agg(lambda effects: (effects > 0).mean())
    assert same_sign.isin([0.0, 1.0]).mean() > 0.5


def test_the_dear_hat_shows_in_the_price_of_its_owners(market: Market) -> None:
    parts = explained(market, OWN).components.to_pandas()
    hats = parts[parts.component.isin(["index_trait", "own_model_trait"]) & parts.label.str.startswith("hat")]
    worth = hats.groupby("label").log_effect.mean()
    assert worth.idxmax() == "hat: 0"
    assert worth["hat: 0"] > 0.05


def test_comparables_are_other_tokens_sold_before_and_moved_to_this_one(market: Market) -> None:
    found = explained(market, OWN, "3", k=4)
    rows = found.comparables.to_pandas()
    assert list(rows["rank"]) == [1, 2, 3, 4]
    assert "3" not in set(rows.sold_token_id)
    assert rows.sold_token_id.is_unique
    assert (rows.sold_at < NOW).all()
    np.testing.assert_allclose(rows.adjusted_eth, rows.price_eth * rows.level_factor * rows.trait_factor)
    assert rows.similarity.between(0, 1).all()
    with market.lake.read() as con:
        paid = dict(con.execute("select sale_id, price_eth from marts.fct_sales").fetchall())
    assert [paid[sale] for sale in rows.sale_id] == list(rows.price_eth)


def test_tokens_with_the_same_traits_compare_best(copied: Market) -> None:
    with copied.lake.write("a twin") as con:
        con.execute(
            """
            update marts.dim_tokens as d set trait_codes = o.trait_codes, trait_values = o.trait_values,
                trait_information = o.trait_information
            from marts.dim_tokens as o
            where d.collection = $1 and d.token_id = '4' and o.collection = d.collection and o.token_id = '3'
            """,
            [POOLED],
        )
        # what was built from the traits goes with them
        for table in ("features.token_features", "features.token_index"):
            con.execute(f"delete from {table} where collection = $1 and token_id = '4'", [POOLED])
            con.execute(
                f"insert into {table} select * replace ('4' as token_id) from {table}"
                " where collection = $1 and token_id = '3'",
                [POOLED],
            )
    found = explained(copied, POOLED, "3").comparables.to_pandas()
    same = found.similarity > 1 - 1e-9
    assert "4" in set(found[same].sold_token_id)
    assert same.is_monotonic_decreasing
    assert found[same].sold_at.is_monotonic_decreasing
    np.testing.assert_allclose(found[same].trait_factor, 1.0, rtol=0.01)


def test_without_any_model_the_index_explains_itself(copied: Market) -> None:
    with copied.lake.write("a cold market") as con:
        con.execute("delete from predictions.token_estimates")
        con.execute("delete from ops.champions")
        con.execute("delete from ops.prior_folds")
        con.execute("delete from ops.rarity_effect")
    found = explained(copied, OWN, "7")
    assert found.used.tier == Tier.INDEX
    assert "not valued yet" in found.notes[0]
    with copied.lake.read() as con:
        base = con.execute(
            "select base_log from features.token_features where collection = $1 and token_id = '7'", [OWN]
        ).fetchone()
    parts = found.components.to_pandas()
    assert parts.log_effect.sum() == pytest.approx(base[0], abs=1e-9)
    assert set(parts.component) == {"index_level", "index_trait", "own_history"}


def test_a_token_without_a_value_gets_the_reason_and_the_facts(market: Market) -> None:
    found = explained(market, FEW)
    assert found.components.num_rows == found.comparables.num_rows == 0
    sold = found.tokens.to_pandas().dropna(subset=["last_sale_eth"]).iloc[0]
    document = as_document(found, sold.token_id)
    assert document["estimate_eth"] is None
    assert document["no_value_reason"] == "fewer_than_3_sales"
    assert "Fewer than three sales" in document["no_value_because"]
    assert document["last_sale"]["price_eth"] == sold.last_sale_eth
    assert document["lowest_ask_eth"] is None
    assert document["floor_proxy_eth"] > 0


def test_newer_features_are_reported_and_not_mixed(copied: Market, later: timedelta) -> None:
    with copied.lake.write("a later time") as con:
        build_token_features(con, NOW + later, only_changed=False)
    found = explained(copied, OWN, "7")
    assert not found.consistent
    assert str(NOW) in found.notes[-1]
    assert str(NOW + later) in found.notes[-1]
    document = as_document(found, "7")
    assert document["interval_80_eth"] is None  # it belongs to the other time
    assert document["estimate_eth"] != document["stored_estimate_eth"]


def test_a_newer_index_is_not_split_wrongly(copied: Market) -> None:
    with copied.lake.write("noises of another state") as con:
        con.execute("update features.hedonic_index set noise_a = noise_a * 20 where collection = $1", [OWN])
    found = explained(copied, OWN, "7")
    assert "traits are shown as one" in found.notes[0]
    assert "Its traits" in found.components["label"].to_pylist()
    assert found.consistent  # the sum is still the estimate


def test_lines_for_people_keep_the_sum(market: Market) -> None:
    document = as_document(explained(market, OWN, "7"), "7")
    steps = document["steps"]
    assert len(steps) < len(document["components"])
    assert sum(step["eth_effect"] for step in steps) == pytest.approx(document["estimate_eth"], rel=1e-9)
    product = steps[0]["eth_effect"] * np.prod([step["factor"] for step in steps[1:]])
    assert product == pytest.approx(document["estimate_eth"], rel=1e-9)
    assert document["track_record"]["n"] >= 20
    assert document["model"]["version"].startswith(f"{OWN}@")
    low, high = document["interval_80_eth"]
    assert low < document["estimate_eth"] < high


def test_unknown_names_are_answered_with_close_ones(market: Market) -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean c0"):
        explained(market, "C0")
    with pytest.raises(UnknownNameError, match=r"no token '77' in c0"):
        explained(market, OWN, "77")


def test_a_home_where_nothing_was_built_is_an_error(market: Market, tmp_path: Path) -> None:
    with (
        Lake(LakeConfig(home=tmp_path), TABLES).read() as con,
        pytest.raises(ExplainError, match="assay run"),
    ):
        explain(con, market.artifacts, OWN)


def test_estimates_of_a_forgotten_prior_are_not_explained_by_another(copied: Market) -> None:
    with copied.lake.write("folds are gone") as con:
        con.execute("delete from ops.prior_folds")
    with pytest.raises(PriorForgottenError, match="assay run"):
        explained(copied, POOLED, "3")


def test_writing_replaces_the_collection_and_leaves_others(copied: Market) -> None:
    for collection in (OWN, POOLED, OWN):
        found = explained(copied, collection)
        with copied.lake.write("explain") as con:
            rows = write_explanations(con, found)
    with copied.lake.read() as con:
        counts = dict(
            con.execute("select collection, count(*) from predictions.explanations group by 1").fetchall()
        )
        off = con.execute(
            """
            select max(abs(sum_eth / estimate_eth - 1)) from (
                select collection, token_id, sum(eth_effect) as sum_eth from predictions.explanations group by all
            ) inner join predictions.token_estimates using (collection, token_id)
            """
        ).fetchone()
    assert counts[OWN] == rows[0]
    assert counts[POOLED] > 0
    assert off[0] < 1e-6
