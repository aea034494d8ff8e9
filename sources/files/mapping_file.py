"""A user's own names: the file `assay.yaml` beside the data.

Here: its form and its errors. Not here: using it (`sources.files.recognition`). Its form is shown in
docs/how-to/own-files.md:

    files:
      "my_export*.csv":
        table: sales
        columns: {token_id: item, event_time: when, price: cost, currency: money}
        timezone: Europe/Berlin
      "old/*": ignore
    shared_contracts:
      - {chain: ethereum, address: "0x…", label: engine, by: project, size: 1000000}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from sources.contracts import SharedContract
from sources.files.aliases import TABLES
from sources.files.errors import MappingError
from sources.files.reading.discovery import MAPPING_FILE

LEFT_OUT = "the mapping file leaves it out"


@dataclass(frozen=True)
class OwnFile:
    """What a user says about one file.

    Attributes:
        table: Raw table it holds; None: as its name or its columns say.
        columns: Role → column.
        timezone: Zone of times that name none; None: UTC.
        leave_out: Whether it is not read.
    """

    table: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    leave_out: bool = False


@dataclass(frozen=True)
class OwnNames:
    """What a user says about a folder: by pattern of a file's path, the first that fits counts."""

    files: Mapping[str, OwnFile] = field(default_factory=dict)
    shared_contracts: tuple[SharedContract, ...] = ()

    def of(self, name: str) -> OwnFile:
        """What is stated about a file; nothing by default."""
        return next((stated for pattern, stated in self.files.items() if fnmatch(name, pattern)), OwnFile())


def read_own_names(directory: Path) -> OwnNames:
    """The mapping file of a folder; empty when there is none.

    Raises:
        MappingError: If it is no YAML, or names a table, role or zone that does not exist.
    """
    path = directory / MAPPING_FILE
    if not path.exists():
        return OwnNames()
    try:
        stated = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise MappingError(
            f"{MAPPING_FILE}: expected YAML, found: {str(error).splitlines()[0]}; correct it"
        ) from None
    if not isinstance(stated, dict) or not set(stated) <= {"files", "shared_contracts"}:
        raise MappingError(
            f"{MAPPING_FILE}: expected the keys files and shared_contracts, found {stated!r:.120}"
        )
    files = stated.get("files") or {}
    if not isinstance(files, dict):
        raise MappingError(
            f"{MAPPING_FILE}: expected patterns of file names under files, found {files!r:.80}"
        )
    return OwnNames(
        {str(pattern): _own_file(str(pattern), body) for pattern, body in files.items()},
        tuple(_shared(entry) for entry in stated.get("shared_contracts") or ()),
    )


def _own_file(pattern: str, body: Any) -> OwnFile:
    if body == "ignore":
        return OwnFile(leave_out=True)
    if not isinstance(body, dict) or not set(body) <= {"table", "columns", "timezone"}:
        raise MappingError(
            f"{MAPPING_FILE}: {pattern}: expected table, columns and timezone, or the word ignore, found {body!r:.120}"
        )
    table, columns, zone = body.get("table"), body.get("columns") or {}, body.get("timezone")
    if table is not None and table not in TABLES:
        raise MappingError(
            f"{MAPPING_FILE}: {pattern}: expected a table ({', '.join(TABLES)}), found {table!r}"
        )
    roles = set(TABLES[table].aliases) if table else {r for t in TABLES.values() for r in t.aliases}
    if not isinstance(columns, dict) or not set(columns) <= roles:
        raise MappingError(
            f"{MAPPING_FILE}: {pattern}: expected roles ({', '.join(sorted(roles))}), found {columns!r:.120}"
        )
    if zone is not None:
        try:
            ZoneInfo(str(zone))
        except (ZoneInfoNotFoundError, ValueError):
            raise MappingError(
                f"{MAPPING_FILE}: {pattern}: expected a zone such as Europe/Berlin, found {zone!r}"
            ) from None
    return OwnFile(table, {str(k): str(v) for k, v in columns.items()}, zone and str(zone))


def _shared(entry: Any) -> SharedContract:
    try:
        contract = SharedContract(**{**entry, "address": str(entry["address"]).lower()})
        usable = contract.by in ("project", "name") and int(contract.size) >= 1
    except (TypeError, KeyError, ValueError):
        usable = False
    if not usable:
        raise MappingError(
            f"{MAPPING_FILE}: expected chain, address, label, by (project or name) and size, found {entry!r:.120}"
        )
    return contract
