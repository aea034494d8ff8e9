"""`assay rollback`: the previous model of a collection. Here: options. Not here: the work (`ml.registry.mirror`)."""

from __future__ import annotations

from typing import Annotated

import typer

from ml.text.visible import visible
from orchestration.cli.opened import known_collections, open_home
from orchestration.cli.options import DataDir, Home, Source
from orchestration.output.terminal import say


def rollback(
    collection: Annotated[str, typer.Argument(help="Collection whose previous model to restore.")],
    reason: Annotated[str, typer.Option(help="Why; kept in ops.decision_log.")],
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
) -> None:
    """Make the previous model of a collection its champion again."""
    opened = open_home(home, source, data_dir)
    (collection,) = known_collections(opened, [collection])
    from ml.registry.mirror import rollback as roll_back
    from ml.registry.rebuilding import rebuild_lost_models
    from orchestration.resources import Assay

    assay = Assay(opened)
    lake, registry = assay.lake, assay.registry
    # In a transaction of its own: its decision rows stay when the rollback is refused.
    as_of = assay.delivered_until
    with lake.write("look for lost models") as con:
        rebuild_lost_models(con, registry, run_id="command line", as_of=as_of)
    with lake.write(f"roll back {collection}") as con:
        champion = roll_back(con, registry, collection, run_id="command line", reason=reason)
    say(
        f"{visible(collection)}: champion is now {champion.model_version}; `assay run` values its tokens again"
    )
