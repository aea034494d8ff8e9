"""What bad disks and people make of a file. Tests use the same."""

from __future__ import annotations

import random
from pathlib import Path


def overwrite(file: Path) -> None:
    """The right length, other bytes from the hundredth on; what SQLite keeps beside the file is gone."""
    whole = bytearray(file.read_bytes())
    end = min(4000, len(whole))
    whole[100:end] = b"x" * (end - 100)
    file.write_bytes(whole)
    for beside in file.parent.glob(f"{file.name}-*"):
        beside.unlink()


def cut(file: Path) -> None:
    """Half of it."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_bit(file: Path, rng: random.Random) -> None:
    """One bit somewhere."""
    whole = bytearray(file.read_bytes())
    whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    file.write_bytes(whole)
