"""`assay explain`: why a token has its price.

Here: options and messages. Not here: any work (`ml.explain`), or layout (`orchestration.cli.render.explanation`).
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml.text.visible import visible
from orchestration.cli.dollars import in_dollars
from orchestration.cli.opened import open_home
from orchestration.cli.options import AsJson, Home
from orchestration.collection_names import resolve_collection
from orchestration.output.terminal import print_json, say
from orchestration.settings import Settings, SettingsError

if TYPE_CHECKING:
    import duckdb

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
    from orchestration.resources import open_lake

    lake = open_lake(settings)
    began = time.monotonic()
    with lake.read() as con:
        collection = resolve_collection(con, collection)
        explained = _explain(con, settings, collection, None if write or token is None else [token], k)
        document = None if token is None else _document(con, explained, token)
    if write:
        from ml.explain.tables import write_explanations

        with lake.write(f"explain {collection}") as con:
            write_explanations(con, explained)
    if document is None:
        _print_all(explained, time.monotonic() - began, write, as_json)
    elif as_json:
        from serving.store.documents import with_iso_times

        print_json(with_iso_times(document))
    else:
        from orchestration.cli.render.explanation import print_explanation

        print_explanation(document)


def _explain(
    con: duckdb.DuckDBPyConnection, settings: Settings, collection: str, tokens: list[str] | None, k: int
) -> Explanations:
    from ml.compute.matrix import FeatureMismatchError
    from ml.explain.errors import ExplainError
    from ml.explain.explain import explain as explain_tokens
    from ml.registry.artifacts import ArtifactLostError
    from orchestration.resources import open_artifacts

    try:
        return explain_tokens(con, open_artifacts(settings), collection, tokens, k)
    except (ExplainError, FeatureMismatchError, ArtifactLostError) as error:
        raise SettingsError(str(error)) from error


def _document(con: duckdb.DuckDBPyConnection, explained: Explanations, token: str) -> dict[str, Any]:
    from ml.explain.document import as_document

    document = as_document(explained, token)
    as_of = None if document["as_of"] is None else datetime.fromisoformat(document["as_of"])
    return {**document, **in_dollars(con, document["estimate_eth"], as_of)}


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
