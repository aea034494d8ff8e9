"""The marts by themselves: dbt's unit tests, an empty lake, rarity against its reference."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from lake.connection import Lake
from tests.integration.marts_market import START, Marts, new_lake, sale, trait, write_rows


@pytest.fixture(scope="module")
def empty_marts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Marts]:
    """Marts of a lake without a single row."""
    folder = tmp_path_factory.mktemp("marts")
    lake = new_lake(folder / "home")
    marts = Marts(lake, folder)
    marts.dbt("run")
    return lake, marts


def test_rules_of_sql_hold(empty_marts: tuple[Lake, Marts]) -> None:
    results = empty_marts[1].dbt("test", "--select", "test_type:unit")
    assert len(results) >= 7


def test_rarity_agrees_with_open_rarity(empty_marts: tuple[Lake, Marts]) -> None:
    """Scores and ranks on a random collection with missing traits, odd spelling and a token with one trait."""
    from open_rarity import Collection, RarityRanker, Token, TokenMetadata
    from open_rarity.models.token_identifier import EVMContractTokenIdentifier
    from open_rarity.models.token_standard import TokenStandard

    lake, marts = empty_marts
    rng = np.random.default_rng(3)
    tokens: dict[str, dict[str, str]] = {}
    for number in range(150):
        tokens[str(number)] = {
            kind: f"{kind} {int(rng.integers(0, spread))}"
            for kind, spread in (("Hat", 4), ("eyes", 6), ("Fur ", 3), ("Aura", 60))
            if kind == "Hat" or rng.random() < 0.8
        }
    tokens["7"] = {"Hat": "HAT 1 "}
    rows = [
        trait("random", token, kind, value, START, f"{token}:{kind}")
        for token, traits in tokens.items()
        for kind, value in traits.items()
    ]
    # seen in a sale, but its traits are not reported: it neither has a rank nor changes those of the others
    unknown = sale(1, collection="random", token_id="999")
    write_rows(lake, {"token_traits": rows, "sales": [unknown]})
    marts.dbt("run")

    reference = RarityRanker.rank_collection(
        Collection(
            [
                Token(
                    EVMContractTokenIdentifier("0xa", int(token)),
                    TokenStandard.ERC721,
                    TokenMetadata.from_attributes(dict(traits)),
                )
                for token, traits in tokens.items()
            ]
        )
    )
    expected = {str(r.token.token_identifier.token_id): (r.rank, r.score) for r in reference}
    with lake.read() as con:
        found = con.execute(
            "select token_id, rarity_rank, rarity_score from marts.dim_tokens where collection = 'random'"
        ).fetchall()
        widths = con.execute(
            "select distinct len(trait_codes), len(trait_values), len(trait_information) "
            "from marts.dim_tokens where rarity_rank is not null"
        ).fetchall()
    ranks = {token: rank for token, rank, _ in found}
    assert ranks.pop("999") is None
    assert ranks == {token: rank for token, (rank, _) in expected.items()}
    scores = {token: score for token, _, score in found if score is not None}
    assert scores == pytest.approx({token: score for token, (_, score) in expected.items()}, rel=1e-12)
    assert widths == [(5, 5, 5)]


def test_a_revealed_trait_replaces_its_placeholder(empty_marts: tuple[Lake, Marts]) -> None:
    lake, marts = empty_marts
    hidden = [trait("reveal", str(t), "Egg", "sealed", START, f"sealed:{t}") for t in range(4)]
    later = START + timedelta(days=2)
    revealed = [trait("reveal", "0", "Egg", "dragon", later, "revealed:0")]
    reported_again = [{**row, "source_row": "again:" + row["source_row"]} for row in hidden[1:3]]
    write_rows(lake, {"token_traits": hidden + revealed + reported_again})
    marts.dbt("run")
    with lake.read() as con:
        found = con.execute(
            "select token_id, trait_values from marts.dim_tokens where collection = 'reveal' order by token_id"
        ).fetchall()
    assert found == [("0", ["dragon", "1"]), *((str(t), ["sealed", "1"]) for t in (1, 2, 3))]
