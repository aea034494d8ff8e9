"""`wallets.yaml`: several wallets of one owner, or a message that says what is wrong."""

from pathlib import Path

import pytest

from ml.portfolio.owners import OwnersError, read_owners


def test_addresses_are_compared_in_lower_case_and_once(tmp_path: Path) -> None:
    (tmp_path / "wallets.yaml").write_text("me:\n  - '0xAB'\n  - ' 0xab '\n  - alice.wam\nyou: ['0xCD']\n")
    assert read_owners(tmp_path) == {"me": ("0xab", "alice.wam"), "you": ("0xcd",)}


def test_no_file_and_an_empty_file_have_no_owner(tmp_path: Path) -> None:
    assert read_owners(tmp_path) == {}
    (tmp_path / "wallets.yaml").write_text("# later\n")
    assert read_owners(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- '0xab'\n", "names with a list of addresses"),
        ("me: '0xab'\n", "list of addresses in quotes below 'me'"),
        ("me: []\n", "list of addresses in quotes below 'me'"),
        ("me: [0xab]\n", "list of addresses in quotes below 'me'"),
        ("me: ['0xab']\nyou: ['0xAB']\n", "0xab belongs to 'me' and 'you'"),
        ("me: [\n", "expected YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "wallets.yaml").write_text(text)
    with pytest.raises(OwnersError, match=message):
        read_owners(tmp_path)
