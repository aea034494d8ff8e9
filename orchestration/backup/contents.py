"""Which files of a home are in a backup.

Everything is, unless it is named here: a file that a later version adds is backed up before somebody thinks of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lake.backup_record import RECORD_FILE
from lake.sqlite_files import BESIDE

LEFT_OUT = {
    "lake": "the catalog and the files that it names are copied by themselves",
    "tmp": "what DuckDB did not keep in memory",
    "simulator": "the simulator makes it again from its seed",
    "dbt": "each build makes it again",
    "dagster/storage": "what runs have printed",
    "serving/current.json": "`assay run` publishes again",
    RECORD_FILE: "where this home was backed up to",
}
"""Path within a home, file or folder, to the reason why it is not in a backup."""

_MOVED_ASIDE = ".damaged"
"""In the name of what was moved aside because it cannot be read (`home_faults`, `ml.registry.store`)."""
_PUBLISHED = "serving/estimates-"
_ENDINGS = (".lock", ".holder.json", ".tmp", ".unfinished")


def files_of_home(home: Path) -> Iterator[tuple[str, Path]]:
    """Path within the home, and the file, of each one that is in a backup, apart from the lake's; sorted.

    Links to folders are followed once: what they lead to is the home's.
    """
    seen: set[Path] = set()
    for folder, folders, names in os.walk(home, followlinks=True):
        here = Path(folder)
        within = here.relative_to(home)
        folders[:] = sorted(
            name
            for name in folders
            if (within / name).as_posix() not in LEFT_OUT and _MOVED_ASIDE not in name
        )
        if here.resolve() in seen:
            folders.clear()
            continue
        seen.add(here.resolve())
        for name in sorted(names):
            path = (within / name).as_posix()
            if (
                path in LEFT_OUT
                or path.startswith(_PUBLISHED)
                or name.endswith(_ENDINGS)
                or _MOVED_ASIDE in name
            ):
                continue
            # With the database that it belongs to.
            if name.endswith(BESIDE) and (here / name.rpartition("-")[0]).exists():
                continue
            if (here / name).is_file():
                yield path, here / name
