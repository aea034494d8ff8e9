"""A collection is found by whatever is its own, and never mistaken for another."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from tests.unit.serving.market import CONTRACT, NAMES, SHARED_CONTRACT

UNIQUE = [name for name in NAMES if name not in ("bored-apes", SHARED_CONTRACT)]


def get(client: TestClient, identifier: str, **params: str):
    return client.get(f"/v1/collections/{quote(identifier, safe='')}", params=params)


@pytest.mark.parametrize("name", UNIQUE, ids=range(len(UNIQUE)))
def test_every_name_can_be_asked_for(client: TestClient, name: str) -> None:
    assert get(client, name).json()["collection"] == name
    assert get(client, name, by="name").json()["collection"] == name
    path = f"/v1/collections/{quote(name, safe='')}/tokens"
    assert client.get(path, params={"limit": 1}).json()["tokens"][0]["collection"] == name


@pytest.mark.parametrize("spelling", [CONTRACT, CONTRACT.lower(), CONTRACT.upper()])
def test_a_contract_is_found_in_any_case(client: TestClient, spelling: str) -> None:
    assert get(client, spelling).json()["collection"] == "Apes"
    assert get(client, spelling, by="contract").json()["collection"] == "Apes"
    assert get(client, spelling, by="slug").status_code == 404


def test_a_slug_is_found(client: TestClient) -> None:
    assert get(client, "apes").json()["collection"] == "Apes"


def test_a_contract_of_several_collections_lists_them(client: TestClient) -> None:
    response = get(client, SHARED_CONTRACT.upper())
    assert (response.status_code, response.json()["type"]) == (409, "urn:assay:problem:ambiguous-collection")
    assert [one["collection"] for one in response.json()["choices"]] == ["Bored Apes", "🦍🍌"]


def test_a_name_like_another_collections_contract_steals_nothing(client: TestClient) -> None:
    """Who asks by contract must not be given a collection that somebody has called like it."""
    response = get(client, SHARED_CONTRACT)
    assert response.status_code == 409
    assert {one["collection"]: one["matched"] for one in response.json()["choices"]} == {
        SHARED_CONTRACT: ["name", "slug"],
        "Bored Apes": ["contract"],
        "🦍🍌": ["contract"],
    }
    assert get(client, SHARED_CONTRACT, by="name").json()["collection"] == SHARED_CONTRACT
    token = client.get(f"/v1/tokens/{SHARED_CONTRACT}/1", params={"by": "name"})
    assert token.json()["collection"] == SHARED_CONTRACT
    assert client.get(f"/v1/tokens/{SHARED_CONTRACT}/1").status_code == 409


def test_a_name_like_another_collections_slug_takes_nothing_over(client: TestClient) -> None:
    response = get(client, "bored-apes")
    assert [one["collection"] for one in response.json()["choices"]] == ["Bored Apes", "bored-apes"]
    assert get(client, "bored-apes", by="name").json()["collection"] == "bored-apes"
    assert get(client, "Bored Apes").json()["collection"] == "Bored Apes"


def test_an_encoded_slash_belongs_to_the_name(client: TestClient) -> None:
    assert client.get("/v1/tokens/a%2Fb/1").json()["collection"] == "a/b"
    assert client.get("/v1/tokens/%252F/1").json()["collection"] == "%2F"
    assert client.get("/v1/tokens/a/b/1").json()["type"] == "urn:assay:problem:not-found"
