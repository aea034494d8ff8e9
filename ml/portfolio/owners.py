"""Owners: wallets that belong together. Moves between them realise nothing.

Here: `wallets.yaml` of a home, and addresses as they are compared. Not here: what the wallets hold.
"""

from __future__ import annotations

from pathlib import Path

import yaml

FILE = "wallets.yaml"


class OwnersError(ValueError):
    """`wallets.yaml` cannot be used."""


def address(text: str) -> str:
    """An address as the marts have it: lower case, without blanks around it."""
    return text.strip().lower()


def read_owners(home: Path) -> dict[str, tuple[str, ...]]:
    """Wallets by owner, from `wallets.yaml` of a home; none without the file.

    The file has one key a name, and below it a list of addresses.

    Raises:
        OwnersError: It is no such file, or an address belongs to two owners.
    """
    path = home / FILE
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OwnersError(f"{path}: expected YAML, found {str(error).splitlines()[0]}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise OwnersError(
            f"{path}: expected names with a list of addresses each, found {type(content).__name__}"
        )
    owners: dict[str, tuple[str, ...]] = {}
    taken: dict[str, str] = {}
    for name, listed in content.items():
        if not isinstance(listed, list) or not listed or not all(isinstance(item, str) for item in listed):
            raise OwnersError(
                f"{path}: expected a list of addresses in quotes below {name!r}, found {listed!r}"
            )
        wallets = tuple(dict.fromkeys(address(item) for item in listed))
        for wallet in wallets:
            if wallet in taken:
                raise OwnersError(f"{path}: {wallet} belongs to {taken[wallet]!r} and {name!r}: name it once")
            taken[wallet] = str(name)
        owners[str(name)] = wallets
    return owners
