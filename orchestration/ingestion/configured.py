"""What a home holds of its configured sources.

Here: `ops.sources`, the state of each source, and deleting its rows. Not here: what can be set
(`sources.configuration`), changing the list (`orchestration.ingestion.listed`), writing rows
(`orchestration.ingestion.ingest`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestration.errors import HomeError
from orchestration.ingestion.collection_keys import TABLES as WITH_COLLECTION
from orchestration.ingestion.collection_keys import learn_keys
from orchestration.slo.definitions import allowed_share
from sources.contract import QUARANTINE, RAW_TABLES

if TYPE_CHECKING:
    import duckdb

    from lake.connection import Lake
    from sources.configuration import SourceConfig
    from sources.several import Sources

_COLUMNS = (
    "name",
    "kind",
    "priority",
    "identity",
    "fresh_within_h",
    "quarantine_limit",
    "watermark",
    "problem",
)


def record_sources(lake: Lake, sources: Sources) -> None:
    """Keep what is configured in `ops.sources`; nothing is written if nothing changed.

    After a change of a priority the next build of the marts decides about every sale again.

    Raises:
        HomeError: The home has rows of a source that is not configured any more, or is configured with other data.
    """
    watermarks = {one.config.name: one.source.watermark() for one in sources.readable}
    with lake.read() as con:
        held = _held(con)
        unnamed = _without_keys(con)
    refuse_others(held, sources.configs)
    rows = {
        config.name: {
            **_settings(config),
            "watermark": watermarks.get(config.name, held.get(config.name, {}).get("watermark")),
            "problem": sources.problems.get(config.name),
        }
        for config in sources.configs
    }
    unnamed = [name for name in unnamed if name in rows]
    if rows == held and not unnamed:
        return
    with lake.write("keep which sources are configured") as con:
        con.execute("delete from ops.sources")
        for row in rows.values():
            con.execute(
                f"insert into ops.sources ({', '.join(_COLUMNS)}) values ({', '.join('?' * len(_COLUMNS))})",
                [row[name] for name in _COLUMNS],
            )
        if any(held[n]["priority"] != row["priority"] for n, row in rows.items() if n in held):
            con.execute("delete from ops.mart_watermark")
        for name in unnamed:
            learn_keys(con, name, {table: _keys_of(con, table, name) for table in WITH_COLLECTION})


def refuse_other_sources(lake: Lake, sources: Sources) -> None:
    """Refuse configured sources that differ from those of the home (`refuse_others`)."""
    with lake.read() as con:
        held = _held(con)
    refuse_others(held, sources.configs)


def refuse_others(held: dict[str, dict[str, Any]], configs: Sequence[SourceConfig]) -> None:
    """Refuse sources that differ from those of the home.

    Raises:
        HomeError: A source of the home is missing, or has other data.
    """
    configured = {config.name: config for config in configs}
    for name, row in held.items():
        config = configured.get(name)
        if config is None:
            raise HomeError(
                f"this home has rows of the source {name!r}, which is not configured (found: "
                f"{', '.join(sorted(configured))}). Put it back, or take its rows out: assay sources remove {name}"
            )
        found = _settings(config)["identity"]
        if row["identity"] != found:
            raise HomeError(
                f"the source {name!r} of this home was {row['identity']}, found {found}. Give the new data a name of "
                f"its own, or take the old rows out first: assay sources remove {name}"
            )


def describe_sources(lake: Lake, configs: Sequence[SourceConfig]) -> list[dict[str, Any]]:
    """What each source has delivered, the preferred first.

    Returns:
        Per source: name, kind, priority, watermark, rows, refused_share (fraction), state (not read yet, cannot be
        read, answers not believed, too old, too many refused, ok), problem.
    """
    default = allowed_share("quarantine_rate")
    with lake.read() as con:
        held = _held(con)
        counts = {
            str(name): (int(rows), int(refused))
            for name, rows, refused in con.execute(
                "select source, sum(rows), sum(quarantined) from ops.ingest_log group by source"
            ).fetchall()
        }
        doubts = dict(
            con.execute("select source, what from ops.source_incidents where closed_at is null").fetchall()
        )
    newest = max((row["watermark"] for row in held.values() if row["watermark"]), default=None)
    described = []
    for config in sorted(configs, key=lambda c: (c.priority, c.name)):
        row = held.get(config.name, {})
        rows, refused = counts.get(config.name, (0, 0))
        share, watermark = refused / max(rows + refused, 1), row.get("watermark")
        limit = default if config.quarantine_limit is None else config.quarantine_limit
        behind_h = (newest - watermark).total_seconds() / 3600 if newest and watermark else 0.0
        if not row:
            state = "not read yet"
        elif row["problem"]:
            state = "cannot be read"
        elif config.name in doubts:
            state = "answers not believed"
        elif config.fresh_within_h is not None and behind_h > config.fresh_within_h:
            state = "too old"
        else:
            state = "too many refused" if share > limit else "ok"
        described.append(
            {
                "name": config.name,
                "kind": config.kind,
                "priority": config.priority,
                "watermark": watermark,
                "rows": rows,
                "refused_share": share,
                "state": state,
                "problem": row.get("problem") or doubts.get(config.name),
            }
        )
    return described


def remove_rows(lake: Lake, name: str, *, listed: bool) -> dict[str, int]:
    """Delete all that a source has delivered, in one transaction. The next `assay run` builds the marts without it.

    Args:
        lake: The lake.
        name: The source.
        listed: Whether it is configured, so that it may have delivered nothing yet.

    Returns:
        Rows removed by raw table.

    Raises:
        HomeError: The home has no such source.
    """
    removed: dict[str, int] = {}
    with lake.write(f"remove source {name}") as con:
        names = [row[0] for row in con.execute("select name from ops.sources order by name").fetchall()]
        if name not in names and not listed:
            raise HomeError(
                f"expected a source of this home ({', '.join(names) or 'it has none yet'}), found {name!r}"
            )
        for table in (*RAW_TABLES, QUARANTINE.name):
            row = con.execute(f"delete from raw.{table} where delivered_by = ?", [name]).fetchone()
            removed[table] = int(row[0]) if row else 0
        con.execute("delete from ops.ingest_log where source = ?", [name])
        con.execute("delete from ops.collection_keys where delivered_by = ?", [name])
        con.execute("delete from ops.source_incidents where source = ?", [name])
        con.execute("delete from ops.sources where name = ?", [name])
    return removed


def _settings(config: SourceConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "kind": config.kind,
        "priority": config.priority,
        "identity": json.dumps(config.identity, sort_keys=True),
        "fresh_within_h": config.fresh_within_h,
        "quarantine_limit": config.quarantine_limit,
    }


def _held(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    rows = con.execute(f"select {', '.join(_COLUMNS)} from ops.sources").fetchall()
    return {row[0]: dict(zip(_COLUMNS, row, strict=True)) for row in rows}


def _without_keys(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Sources with rows but without collections: of a home that was made before keys were kept."""
    rows = con.execute(
        "select distinct source from ops.ingest_log where table_name = 'sales' and rows > 0"
        " and source not in (select delivered_by from ops.collection_keys)"
    ).fetchall()
    return sorted(str(row[0]) for row in rows)


def _keys_of(con: duckdb.DuckDBPyConnection, table: str, name: str) -> Any:
    token = "min(token_id)" if "token_id" in RAW_TABLES[table].names else "null::varchar"
    return con.execute(
        f"select chain, collection, contract, {token} as token_id, min(known_at) as known_at from raw.{table}"
        " where delivered_by = ? group by chain, collection, contract",
        [name],
    ).to_arrow_table()
