"""`assay explain`: why a token has its price.

Here: options and messages. Not here: any work (`ml.explain`), or layout (`orchestration.cli.render.explanation`).
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ml.text.visible import visible
from orchestration.cli.dollars import in_dollars
from orchestration.cli.opened import known_collections, open_home
from orchestration.cli.options import AsJson, Home
from orchestration.output.terminal import print_json, say
from orchestration.settings import Settings, SettingsError

if TYPE_CHECKING:
    from ml.explain.explain import Explanations


def explain(
    collection: Annotated[str, typer.Argument(help="Collection.")],
    token: Annotated[str | None, typer.Argument(help="Token id; leave it out with --all.")] = None,
    k: Annotated[int, typer.Option("--k", min=0, max=50, help="Comparable sales to show.")] = 5,
    every: Annotated[bool, typer.Option("--all", help="Explain every token of the collection.")] = False,
    write: Annotated[
        bool, typer.Option(help="Keep them in predictions.explanations and predictions.comparables.")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Why a token has its price: its parts, its last sale, comparable sales, and how far to trust it."""
    if every == (token is not None):
        raise SettingsError("explain expects either a token or --all: assay explain COLLECTION TOKEN")
    settings = open_home(home)
    (collection,) = known_collections(settings, [collection])
    # A wrong name is refused before the models' libraries are imported.
    from ml.compute.matrix import FeatureMismatchError
    from ml.explain.errors import ExplainError
    from ml.registry.artifacts import ArtifactLostError

    began = time.monotonic()
    try:
        explained = _explain(settings, collection, token, k, write)
    except (ExplainError, FeatureMismatchError, ArtifactLostError) as error:
        raise SettingsError(str(error)) from error
    if token is None:
        _print_all(explained, time.monotonic() - began, write, as_json)
    else:
        _print_one(settings, explained, token, as_json)


def _explain(settings: Settings, collection: str, token: str | None, k: int, write: bool) -> Explanations:
    from ml.explain.explain import explain as explain_tokens
    from ml.explain.tables import write_explanations
    from ml.registry.artifacts import ArtifactStore
    from orchestration.resources import open_lake

    lake = open_lake(settings)
    artifacts = ArtifactStore(settings.home_path / "artifacts")
    chosen = None if token is None or write else [token]
    with lake.read() as con:
        explained = explain_tokens(con, artifacts, collection, chosen, k)
    if write:
        with lake.write(f"explain {explained.collection}") as con:
            write_explanations(con, explained)
    return explained


def _print_one(settings: Settings, explained: Explanations, token: str, as_json: bool) -> None:
    from ml.explain.document import as_document
    from orchestration.cli.render.explanation import print_explanation
    from orchestration.resources import open_lake
    from serving.store.documents import with_iso_times

    document = as_document(explained, token)
    as_of = None if document["as_of"] is None else datetime.fromisoformat(document["as_of"])
    with open_lake(settings).read() as con:
        dollars = in_dollars(con, document["estimate_eth"], as_of)
    if as_json:
        print_json({**with_iso_times(document), **dollars})
    else:
        print_explanation({**document, **dollars})


def _print_all(explained: Explanations, seconds: float, write: bool, as_json: bool) -> None:
    counts = {
        "collection": explained.collection,
        "tokens": explained.tokens.num_rows,
        "explained": explained.tokens.num_rows - explained.tokens["explained_eth"].null_count,
        "components": explained.components.num_rows,
        "comparables": explained.comparables.num_rows,
        "consistent": explained.consistent,
        "written": write,
        "notes": list(explained.notes),
        "seconds": round(seconds, 2),
    }
    if as_json:
        tables = {
            "tokens": explained.tokens,
            "components": explained.components,
            "comparables": explained.comparables,
        }
        print_json({**counts, "rows": {name: table.to_pylist() for name, table in tables.items()}})
        return
    say(
        f"{visible(explained.collection)}: {counts['explained']:,} of {counts['tokens']:,} tokens explained in "
        f"{seconds:.1f} s, {counts['components']:,} components, {counts['comparables']:,} comparables"
    )
    if write:
        say("written to predictions.explanations and predictions.comparables")
    for note in explained.notes:
        say(f"! {note}")
