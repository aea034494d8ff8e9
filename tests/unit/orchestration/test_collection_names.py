"""A collection is found by its name, its contract or its slug, and a choice is asked for when that is ambiguous."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.tables import create_missing
from ml.tables.registry import TABLES
from orchestration.collection_names import resolve_collection, resolve_collections
from orchestration.errors import HomeError

APES, COPY = "0x" + "ab" * 20, "0x" + "cd" * 20


@pytest.fixture(scope="module")
def con():
    con = duckdb.connect()
    create_missing(con, [t for t in TABLES if t.name == "marts.dim_collections"])
    rows = [
        ("Bored Apes", "ethereum", APES, "Bored Apes"),
        (f"Bored Apes {COPY}", "base", COPY, "Bored Apes"),
        ("Creature's World", "ethereum", None, None),
        ("cool-cats", "ethereum", None, "Cool Cats NFT"),
    ]
    con.executemany(
        "insert into marts.dim_collections by name select $1 as collection, $2 as chain, $3 as contract, $4 as name",
        rows,
    )
    yield con
    con.close()


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("Bored Apes", "Bored Apes"),
        (APES.upper().replace("0X", "0x"), "Bored Apes"),
        (f"base:{COPY}", f"Bored Apes {COPY}"),
        ("Creature's World", "Creature's World"),
        ("creature-s-world", "Creature's World"),
        ("Cool Cats NFT", "cool-cats"),
        ("COOL CATS", "cool-cats"),
    ],
)
def test_what_a_user_types_is_found(con, typed, key):
    assert resolve_collection(con, typed) == key


def test_an_ambiguous_name_lists_the_choices(con):
    with pytest.raises(
        HomeError, match=rf"found 2 for bored-apes: Bored Apes \(ethereum, {APES}\); Bored Apes"
    ):
        resolve_collection(con, "bored-apes")


def test_an_unknown_name_is_refused_with_what_comes_close(con):
    with pytest.raises(HomeError, match="did you mean cool-cats"):
        resolve_collection(con, "cool-cat")


def test_several_names_of_one_collection_are_one(con):
    assert resolve_collections(con, ["cool-cats", "Cool Cats", APES]) == ["cool-cats", "Bored Apes"]


@given(st.text(max_size=40))
def test_any_text_is_a_collection_or_a_refusal(con, typed):
    try:
        assert resolve_collection(con, typed)
    except HomeError as error:
        assert "collection" in str(error)  # noqa: PT017 - either outcome is right
