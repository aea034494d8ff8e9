"""Which tokens' reasons are published, and writing them as documents.

Here: the choice, and calling `ml.explain`. Not here: the explanation (`ml.explain`), or the store's tables.

Concept: explaining costs about half a second for a collection, nearly the same for one token as for all
([ADR 14](docs/adr/0014-reasons.md)). So none are published unless asked for: `serving.explainer` computes them on
demand. Those that were asked for most are published, so that nobody waits for them, and those of the most valuable
tokens, if so configured: a store that is copied to where there is no lake has only these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

import duckdb

from ml.registry.artifacts import ArtifactStore
from serving.store.documents import as_json, with_iso_times

if TYPE_CHECKING:
    from serving.store.plan import Contents


@dataclass(frozen=True)
class ReasonsConfig:
    """How many reasons are published.

    Attributes:
        collections: Collections of the highest value.
        tokens: Tokens of the highest estimate in each of them.
        comparables: Comparable sales for each token.
        asked: Tokens whose reasons were asked for most, of any collection.
    """

    collections: int = 0
    tokens: int = 25
    comparables: int = 5
    asked: int = 0


def chosen_tokens(
    con: duckdb.DuckDBPyConnection, config: ReasonsConfig, asked: Sequence[tuple[str, str]] = ()
) -> dict[str, list[str]]:
    """Tokens to explain by collection: of the most valuable collections, then those that were asked for.

    Args:
        con: A read connection of the lake.
        config: How many.
        asked: (collection, token id); those without an estimate are left out.
    """
    rows = con.execute(
        """
        with ranked as (
            select collection, token_id,
                row_number() over (partition by collection order by estimate_eth desc, token_id) as place
            from predictions.token_estimates where estimate_eth is not null
        ),
        largest as (
            select collection, round(sum(expected_eth), 6) as value_eth from predictions.token_estimates
            where estimate_eth is not null group by collection order by value_eth desc, collection limit $collections
        )
        select l.collection, r.token_id from largest as l inner join ranked as r on l.collection = r.collection
        where r.place <= $tokens order by l.value_eth desc, l.collection, r.place
        """,
        {"collections": config.collections, "tokens": config.tokens},
    ).fetchall()
    chosen: dict[str, list[str]] = {}
    for collection, token in rows:
        chosen.setdefault(collection, []).append(token)
    for collection, token in _valued(con, asked):
        if token not in chosen.setdefault(collection, []):
            chosen[collection].append(token)
    return chosen


def _valued(con: duckdb.DuckDBPyConnection, asked: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that have an estimate, in an order that does not depend on how often they were asked for.

    Otherwise a token that is asked once more would change the digest, and all of its collection be explained again.
    """
    if not asked:
        return []
    return con.execute(
        """
        with asked as (select unnest($collections::varchar[]) as collection, unnest($tokens::varchar[]) as token_id)
        select e.collection, e.token_id from asked as a
        inner join predictions.token_estimates as e on e.collection = a.collection and e.token_id = a.token_id
        where e.estimate_eth is not null group by all order by all
        """,
        {"collections": [one[0] for one in asked], "tokens": [one[1] for one in asked]},
    ).fetchall()


def reasons_digest(tokens_digest: str, tokens: list[str], config: ReasonsConfig) -> str:
    """Changes when the estimates of the collection or the choice of tokens do."""
    return hashlib.sha256(repr((tokens_digest, tokens, config)).encode()).hexdigest()


def changed_reasons(
    con: duckdb.DuckDBPyConnection,
    contents: Contents,
    ids: Mapping[str, int],
    stored: Mapping[int, str],
    artifacts: ArtifactStore | None,
    config: ReasonsConfig,
) -> tuple[dict[int, list[tuple[Any, ...]]], dict[str, str]]:
    """The rows of the table `explanations` that take the place of those that are there, by collection.

    Args:
        con: A read connection of the lake.
        contents: What the lake holds.
        ids: The numbers of collections.
        stored: Digest of the reasons that are there, by the number of their collection.
        artifacts: Where model files are; None: `contents` asks for no reasons.
        config: How many.

    Returns:
        Rows by the number of each collection whose reasons change, none where they go; and why some are missing. What
        is missing and was missing before is no change, and is tried again the next time.
    """
    from ml.compute.matrix import FeatureMismatchError
    from ml.explain.errors import ExplainError
    from ml.registry.artifacts import ArtifactLostError

    wanted = {ids[name] for name in contents.explained}
    changed: dict[int, list[tuple[Any, ...]]] = {number: [] for number in stored.keys() - wanted}
    unexplained: dict[str, str] = {}
    if artifacts is None:
        return changed, unexplained
    for name, tokens in contents.explained.items():
        number, digest = ids[name], reasons_digest(contents.tokens[name], tokens, config)
        if stored.get(number) == digest:
            continue
        try:
            changed[number] = [
                (number, token, digest, as_of, body)
                for token, as_of, body in explain_tokens(con, artifacts, name, tokens, config)
            ]
        except (ExplainError, FeatureMismatchError, ArtifactLostError) as error:
            # Estimates without reasons are still estimates; yesterday's reasons would be about other ones.
            if number in stored:
                changed[number] = []
            unexplained[name] = str(error)
    return changed, unexplained


def explain_tokens(
    con: duckdb.DuckDBPyConnection,
    artifacts: ArtifactStore,
    collection: str,
    tokens: list[str],
    config: ReasonsConfig,
) -> Iterator[tuple[str, int, bytes]]:
    """(token, as-of in µs since 1970, document) of each token.

    Raises:
        ExplainError, FeatureMismatchError, ArtifactLostError: As `ml.explain.explain.explain` does.
    """
    from ml.explain.document import as_document
    from ml.explain.explain import explain

    explained = explain(con, artifacts, collection, tokens, config.comparables)
    seconds = 0.0 if explained.as_of is None else explained.as_of.replace(tzinfo=UTC).timestamp()
    for token in tokens:
        document = with_iso_times(as_document(explained, token))
        yield token, round(seconds * 1_000_000), as_json(document)
