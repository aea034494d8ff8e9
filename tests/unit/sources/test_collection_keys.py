"""Which collections of several sources are one."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sources.collection_keys import CollectionKey, decide


def homes(*keys: CollectionKey) -> list[str | None]:
    return [key.collection for key in decide(keys)]


def key(delivered_by: str, given: str, contract: str | None = None, **more: str) -> CollectionKey:
    return CollectionKey(delivered_by, "ethereum", given, contract, **more)


def test_a_contract_joins_what_names_keep_apart() -> None:
    assert (
        homes(key("a", "apes", "0x1"), key("b", "0x1", "0x1"), key("c", "Bored Apes", "0x1")) == ["apes"] * 3
    )


def test_a_source_without_contracts_means_the_collection_of_its_name() -> None:
    assert homes(key("a", "apes", "0x1"), key("b", "apes")) == ["apes", "apes"]
    assert homes(key("a", "apes"), key("b", "apes")) == ["apes", "apes"]


def test_an_impostor_gets_a_key_of_its_own_and_a_bare_name_joins_neither() -> None:
    assert homes(key("a", "apes", "0x1"), key("b", "apes", "0x2"), key("c", "apes")) == [
        "apes",
        "apes-0x2",
        "apes-c",
    ]


def test_an_impostor_that_comes_later_takes_no_rows_from_a_collection() -> None:
    before = decide([key("a", "apes", "0x1"), key("c", "apes")])
    after = decide([*before, key("b", "apes", "0x2")])
    assert [k.collection for k in after] == ["apes", "apes", "apes-0x2"]


def test_one_contract_on_two_chains_is_two_collections() -> None:
    there = CollectionKey("b", "polygon", "apes", "0x1")
    assert homes(key("a", "apes", "0x1"), there) == ["apes", "apes-0x1"]


def test_projects_of_a_shared_contract_are_two_collections() -> None:
    squiggles, fidenza = key("a", "squiggles", "0xab", project="0"), key("a", "fidenza", "0xab", project="78")
    same = key("b", "artblocks-78", "0xab", project="78")
    assert homes(squiggles, fidenza, same) == ["squiggles", "fidenza", "fidenza"]


def test_a_contract_learnt_later_joins_two_collections_under_the_older_key() -> None:
    before = decide([key("a", "0x1", "0x1"), key("b", "apes")])
    assert [k.collection for k in before] == ["0x1", "apes"]
    after = decide([before[0], replace(before[1], contract="0x1")])
    assert [k.collection for k in after] == ["0x1", "0x1"]


KEYS = st.lists(
    st.builds(
        CollectionKey,
        delivered_by=st.sampled_from("abc"),
        chain=st.sampled_from(["ethereum", "polygon"]),
        given=st.sampled_from(["apes", "cats", "0x1", "apes-0x1", "apes-a"]),
        contract=st.sampled_from([None, "0x1", "0x2"]),
        project=st.none(),
    ),
    max_size=12,
    unique_by=lambda k: (k.delivered_by, k.chain, k.given),
)


@settings(max_examples=1000, deadline=None)
@given(KEYS, st.integers(0, 12))
def test_keys_are_stable_and_one_contract_is_one_collection(keys: list[CollectionKey], seen: int) -> None:
    first = decide(keys[:seen])
    result = decide([*first, *keys[seen:]])
    assert all(k.collection for k in result)
    # Once decided nothing changes by asking again.
    assert decide(result) == result
    contracts: dict[tuple[str, str], set[str | None]] = {}
    assets: dict[str | None, set[tuple[str, str]]] = {}
    for k in result:
        if k.contract is not None:
            contracts.setdefault((k.chain, k.contract), set()).add(k.collection)
            assets.setdefault(k.collection, set()).add((k.chain, k.contract))
    assert all(len(names) == 1 for names in contracts.values())
    assert all(len(found) == 1 for found in assets.values())
    # Sources that are added give an older key no new name: it keeps its own, or joins a collection that was there.
    older = {k.collection for k in first}
    assert all(new.collection in older for new in result[: len(first)])
