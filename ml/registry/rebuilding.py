"""A lost registry, made again from the lake.

Here: which collections the registry does not know, and registering their versions again. Not here: moving a damaged
file aside (`ml.registry.store`).

Concept: the lake has every champion in force, and earlier ones in the rows that its snapshots keep; the decision log
has the highest number that was given. So every version gets its number back, and no number is given twice. A version
that no snapshot has any more is registered without its tuple: it cannot be rolled back to.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

import duckdb

from lake.config import CATALOG_ALIAS
from ml.registry.champion import Champion
from ml.registry.champions import ALIAS_CHAMPION, ChampionRegistry
from ml.registry.mirror import Decision, read_champions, record
from ml.states import Action

logger = logging.getLogger(__name__)

RULE = "registry_rebuilt"


def lost_models(champions: Iterable[str], registry: ChampionRegistry) -> list[str]:
    """Those of the lake's collections with a champion that the registry has none of."""
    aliases = registry.aliases()
    return sorted(name for name in champions if ALIAS_CHAMPION not in aliases.get(name, {}))


def rebuild_lost_models(
    con: duckdb.DuckDBPyConnection, registry: ChampionRegistry, run_id: str, as_of: datetime
) -> list[str]:
    """Register again what the registry does not have of the lake's champions, each with a decision row.

    Killed in between, the next call continues: the alias of a collection is set last.

    Args:
        con: A write connection of the lake.
        registry: The registry of record.
        run_id: The run that checks.
        as_of: Newest `known_at` in the data: the time of the decisions.

    Returns:
        The collections.
    """
    known = read_champions(con)
    lost = lost_models(known, registry)
    if not lost:
        return []
    logger.warning("The model registry does not have %d champions of the lake: registered again", len(lost))
    earlier, last = _earlier(con, lost), _last_numbers(con, lost)
    decisions = []
    for collection in lost:
        champion = known[collection]
        versions = {**earlier.get(collection, {}), champion.version: champion}
        registry.restore(champion, versions, max(last.get(collection, 0), *versions))
        decisions.append(
            Decision(
                as_of,
                run_id,
                collection,
                Action.KEPT,
                RULE,
                f"the registry had lost it: {len(versions)} of {max(last.get(collection, 0), *versions)} versions "
                "are registered again",
                {},
                champion.model_version,
                champion.model_version,
            )
        )
    record(con, [], decisions)
    return lost


def _earlier(con: duckdb.DuckDBPyConnection, collections: list[str]) -> dict[str, dict[int, Champion]]:
    """Champions that the rows of kept snapshots have, by collection and version."""
    kept = con.execute(
        f"select min(snapshot_id), max(snapshot_id) from ducklake_snapshots('{CATALOG_ALIAS}')"
    ).fetchone()
    first, newest = kept or (0, 0)
    cursor = con.execute(
        f"from ducklake_table_insertions('{CATALOG_ALIAS}', 'ops', 'champions', {int(first)}, {int(newest)})"
        " where list_contains($names, collection)",
        {"names": collections},
    )
    names = [column[0] for column in cursor.description or []]
    found: dict[str, dict[int, Champion]] = {}
    for row in cursor.fetchall():
        champion = Champion.from_row(dict(zip(names, row, strict=True)))
        found.setdefault(champion.collection, {})[champion.version] = champion
    return found


def _last_numbers(con: duckdb.DuckDBPyConnection, collections: list[str]) -> dict[str, int]:
    """The highest version of each collection that the decision log names."""
    rows = con.execute(
        """
        select collection, max(try_cast(substr(named, length(collection) + 2) as bigint))
        from (select collection, unnest([challenger, champion]) as named from ops.decision_log)
        where list_contains($names, collection) and starts_with(named, collection || '@')
        group by collection
        """,
        {"names": collections},
    ).fetchall()
    return {collection: number for collection, number in rows if number is not None}
