"""Where a report comes from: the command, the ledger, the versions, the machine. No paths and no host names."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("assay", "catboost", "duckdb", "numpy", "pyarrow", "scipy")


@dataclass(frozen=True)
class Provenance:
    """What a reader needs to make the report again.

    Attributes:
        command: The command lines that made it.
        ledger: Size and digest of the ledger's file.
        versions: Of Python and of the packages that compute.
        machine: Cores and memory.
    """

    command: str
    ledger: str
    versions: str
    machine: str


def provenance(ledger: Path, command: str) -> Provenance:
    """The provenance of a report made here from a ledger's file."""
    import psutil

    content = ledger.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    memory = psutil.virtual_memory().total / 2**30
    versions = [f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in _PACKAGES)]
    return Provenance(
        command,
        f"{len(content) / 1e6:.1f} MB, sha256 {digest}…",
        ", ".join(versions),
        f"{psutil.cpu_count()} cores, {memory:.0f} GB memory, {platform.machine()}",
    )
