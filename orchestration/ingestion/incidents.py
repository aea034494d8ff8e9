"""What happened to the sources of a home: `ops.source_incidents`, kept from what each source noted itself.

Not here: what counts as an incident (the sources), and the alert about one that is not over
(`orchestration.ingestion.checks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sources.protocol import WatchedSource

if TYPE_CHECKING:
    from lake.connection import Lake
    from sources.several import Sources

_COLUMNS = "source, kind, opened_at, closed_at, what"


def record_incidents(lake: Lake, sources: Sources) -> None:
    """Keep the incidents of each source that could be read; nothing is written if nothing changed.

    An incident that is over stays when its source does not know it any more, because its own file was removed.
    """
    found = {
        (one.config.name, incident.kind, incident.opened_at, incident.closed_at, incident.what)
        for one in sources.readable
        if isinstance(one.source, WatchedSource)
        for incident in one.source.incidents()
    }
    readable = {one.config.name for one in sources.readable}
    with lake.read() as con:
        held = set(con.execute(f"select {_COLUMNS} from ops.source_incidents").fetchall())
    outdated = {row for row in held - found if row[0] in readable and row[3] is None}
    if found <= held and not outdated:
        return
    with lake.write("keep the incidents of the sources") as con:
        for source, kind, opened_at, *_ in [*outdated, *(found - held)]:
            con.execute(
                "delete from ops.source_incidents where source = ? and kind = ? and opened_at = ?",
                [source, kind, opened_at],
            )
        for row in sorted(found - held, key=str):
            con.execute(f"insert into ops.source_incidents ({_COLUMNS}) values (?, ?, ?, ?, ?)", list(row))
