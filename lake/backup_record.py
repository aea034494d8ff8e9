"""What a home remembers of its backups: where the newest is.

Read where the home is damaged, so it needs nothing else of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from shlex import quote

from lake.migrations import rebuild_command
from lake.storage import write_whole

RECORD_FILE = "backup.json"


@dataclass(frozen=True)
class LastBackup:
    """The newest backup of a home.

    Attributes:
        folder: The folder of backups.
        name: Its name there.
        made_at: When it was begun (ISO 8601, UTC).
        snapshot: The lake's newest snapshot in it.
    """

    folder: str
    name: str
    made_at: str
    snapshot: int

    @property
    def described(self) -> str:
        """In a few words."""
        made_at = datetime.fromisoformat(self.made_at)
        return f"{self.folder} of {made_at:%Y-%m-%d %H:%M} UTC with snapshot {self.snapshot}"


def way_back(home: Path) -> str:
    """What to do about a home whose lake is lost, for people."""
    last = last_backup(home)
    if last is None:
        return f"No backup of it is known here: use one that you have (`assay restore DIR`), or {rebuild_command(home)}"
    return (
        f"The newest known backup is {last.described}: move the home aside and restore it, "
        f"`mv {quote(str(home))} {quote(f'{home}.damaged')} && "
        f"assay restore {quote(last.folder)} --to {quote(str(home))}`; `assay run` then reads what came since"
    )


def remember(home: Path, last: LastBackup) -> None:
    """Keep which backup of this home is the newest."""
    write_whole(home / RECORD_FILE, json.dumps(asdict(last), indent=1) + "\n")


def last_backup(home: Path) -> LastBackup | None:
    """The newest backup that is known here; None: none, or the file that names it is damaged."""
    try:
        last = LastBackup(**json.loads((home / RECORD_FILE).read_text()))
        # It is read where something else is damaged already: it must be usable, or be none.
        return last if datetime.fromisoformat(last.made_at).tzinfo and int(last.snapshot) >= 0 else None
    except (OSError, ValueError, TypeError):
        return None
