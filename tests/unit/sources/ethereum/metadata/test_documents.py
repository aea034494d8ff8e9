"""What tokens say of themselves: traits, or why not; never a crash."""

from __future__ import annotations

import base64
import json
import random
from typing import Any
from urllib.parse import quote

import pytest

from sources.ethereum.metadata.documents import LONGEST_TEXT, MOST_TRAITS, traits_of
from sources.ethereum.metadata.locations import Gateways, UnreadableMetadataError, located, with_id

GATEWAYS = Gateways(("https://one.example", "https://two.example/x"), ("https://weave.example",))
CID = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
NEW_CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"


def stated(attributes: Any, key: str = "attributes") -> tuple[tuple[str, str | None], ...]:
    return traits_of(json.dumps({"name": "One", "image": "x", key: attributes}).encode())


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ([{"trait_type": "Hat", "value": "Blue"}], [("Hat", "Blue")]),
        ([{"display_type": "number", "trait_type": "Level", "value": 5.0}], [("Level", "5")]),
        ([{"display_type": "boost_percentage", "trait_type": "Luck", "value": 2.5}], [("Luck", "2.5")]),
        ([{"display_type": "date", "trait_type": "Born", "value": 1546360800}], [("Born", "2019-01-01")]),
        ([{"display_type": "date", "trait_type": "Born", "value": 1546360800000}], [("Born", "2019-01-01")]),
        ([{"display_type": "date", "trait_type": "Born", "value": "unknown"}], [("Born", "unknown")]),
        ([{"display_type": "date", "trait_type": "Born", "value": -1e300}], [("Born", "-1e+300")]),
        ([{"trait_type": "Gold", "value": True}], [("Gold", "true")]),
        ([{"trait_type": "Hat", "value": None}], [("Hat", None)]),
        ([{"trait_type": "Hat"}], [("Hat", None)]),
        ([{"trait_type": "Hat", "value": "  "}], [("Hat", None)]),
        ([{"trait_type": "Hat", "value": 0}], [("Hat", "0")]),
        ([{"trait_type": 7, "value": "x"}], [("7", "x")]),
        ([{"trait_type": "Hat", "value": "a"}, {"trait_type": "Hat", "value": "b"}], [("Hat", "a"), ("Hat", "b")]),
        ([{"trait_type": "Hat", "value": "a"}, {"trait_type": "Hat", "value": "a"}], [("Hat", "a")]),
        ([{"trait_type": "Hat", "value": ["a", "b"]}], [("Hat", "a"), ("Hat", "b")]),
        ([{"value": "Rare"}, "Shiny", None, {}], [("property", "Rare"), ("property", "Shiny")]),
        ({"Hat": "Blue", "Level": 3}, [("Hat", "Blue"), ("Level", "3")]),
        ('[{"trait_type": "Hat", "value": "Blue"}]', [("Hat", "Blue")]),
        ([], []),
        ({}, []),
        (None, []),
        ("", []),
    ],
)  # fmt: skip
def test_attributes_in_every_form(attributes: Any, expected: list[tuple[str, str | None]]) -> None:
    assert list(stated(attributes)) == expected


def test_traits_and_properties_are_attributes_too() -> None:
    assert stated([{"trait_type": "Hat", "value": "x"}], "traits") == (("Hat", "x"),)
    assert stated({"Hat": "x"}, "properties") == (("Hat", "x"),)
    # The schema of ERC-1155 describes files and creators there: they are no traits.
    assert stated({"files": [{"uri": "x"}], "category": "image"}, "properties") == ()


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (b"", "expected JSON"),
        (b"<html>not found</html>", "expected JSON"),
        (b'{"attributes": [', "expected JSON"),
        (b'{"name": "\xff\xfe"}', "expected UTF-8"),
        (b'{"attributes": [{"trait_type": "\\ud800", "value": "x"}]}', "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b"[]", "found a list"),
        (b"null", "found null"),
        (b'{"attributes": 7}', "found a number"),
        (b'{"attributes": [["Hat", "Blue"]]}', "found a list"),
        (b'{"attributes": [{"trait_type": {"a": 1}, "value": 1}]}', "found an object"),
        (b'{"attributes": [{"trait_type": "Hat", "value": {"a": 1}}]}', "found an object"),
        (b'{"attributes": [{"trait_type": "Hat", "value": Infinity}]}', "finite"),
        (json.dumps({"attributes": {"a": "x" * (LONGEST_TEXT + 1)}}).encode(), "characters"),
        (json.dumps({"attributes": {str(n): "x" for n in range(MOST_TRAITS + 1)}}).encode(), "traits"),
        (b'{"attributes": [{"trait_type": "Hat", "value": ' + b"9" * 10_000 + b"}]}", "expected"),
    ],
)
def test_what_is_no_metadata_is_refused_with_a_reason(document: bytes, found: str) -> None:
    with pytest.raises(UnreadableMetadataError, match=found):
        traits_of(document)


@pytest.mark.parametrize(
    "uri",
    [
        'data:application/json;utf8,{"a": "50% é #1"}',
        'data:application/json,{"a": "50% é #1"}',
        'DATA:application/json;charset=utf-8,{"a": "50% é #1"}',
        "data:application/json," + quote('{"a": "50% é #1"}'),
        "data:application/json;base64," + base64.b64encode('{"a": "50% é #1"}'.encode()).decode(),
        "data:application/json;charset=utf-8;BASE64,"
        + base64.b64encode('{"a": "50% é #1"}'.encode()).decode(),
        "data:;base64," + base64.urlsafe_b64encode('{"a": "50% é #1"}'.encode()).decode().rstrip("="),
        '  {"a": "50% é #1"}\0\0',
    ],
)
def test_a_document_in_the_text_itself(uri: str) -> None:
    document = located(uri, GATEWAYS)
    assert isinstance(document, bytes)
    assert json.loads(document) == {"a": "50% é #1"}


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (f"ipfs://{CID}/7", f"ipfs/{CID}/7"),
        (f"ipfs://ipfs/{CID}/7.json", f"ipfs/{CID}/7.json"),
        (f"https://ipfs.io/ipfs/{CID}/7", f"ipfs/{CID}/7"),
        (f"https://{NEW_CID}.ipfs.dweb.link/7", f"ipfs/{NEW_CID}/7"),
        (f"ipfs://{NEW_CID}", f"ipfs/{NEW_CID}"),
        (f"ipfs://{CID}/Bored #7.json", f"ipfs/{CID}/Bored%20%237.json"),
        (CID, f"ipfs/{CID}"),
    ],
)
def test_an_address_of_ipfs_is_asked_of_the_gateways_of_the_settings(uri: str, path: str) -> None:
    assert located(uri, GATEWAYS) == [f"https://one.example/{path}", f"https://two.example/x/{path}"]


def test_other_addresses() -> None:
    weave = "ar://" + "a" * 43
    assert located(weave + "/7", GATEWAYS) == ["https://weave.example/" + "a" * 43 + "/7"]
    assert located("https://x.example/7?y=1", GATEWAYS) == ("https://x.example/7?y=1",)
    for uri in (
        "tokenURI",
        "",
        "7",
        "ftp://x/7",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:x",
        "//x/7",
    ):
        with pytest.raises(UnreadableMetadataError):
            located(uri, GATEWAYS)
    with pytest.raises(UnreadableMetadataError, match="gateway in the settings"):
        located(weave, Gateways())
    with pytest.raises(UnreadableMetadataError, match="base64"):
        located("data:application/json;base64,$$$$", GATEWAYS)


def test_the_id_in_an_address_is_64_hex_digits_in_lower_case() -> None:
    assert with_id("https://x/{id}.json", 314_592) == f"https://x/{314_592:064x}.json"
    assert with_id("https://x/{id}", 2**256 - 1).endswith("f" * 64)


def test_damaged_documents_never_crash() -> None:
    chance = random.Random(5)
    whole = json.dumps(
        {
            "name": "é",
            "attributes": [{"trait_type": "Hat", "value": 1.5, "display_type": "date"}, {"value": [1, None]}],
        }
    ).encode()
    read = 0
    for _ in range(2_000):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(data))
            data[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        try:
            for kind, value in traits_of(bytes(data)):
                assert isinstance(kind, str)
                assert value is None or isinstance(value, str)
            read += 1
        except UnreadableMetadataError:
            pass
    assert 100 < read < 1_900
