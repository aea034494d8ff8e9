"""Which tokens' reasons are published, and writing them as documents.

Here: the choice, and calling `ml.explain`. Not here: the explanation (`ml.explain`), or the store's tables.

Concept: explaining costs about half a second for a collection, nearly the same for one token as for all
([ADR 14](docs/adr/0014-reasons.md)). So none are published unless asked for: `serving.explainer` computes them on
demand. A store that is copied to where there is no lake has those of the most valuable tokens, if so configured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC

import duckdb

from ml.registry.artifacts import ArtifactStore
from serving.store.documents import as_json, with_iso_times


@dataclass(frozen=True)
class ReasonsConfig:
    """How many reasons are published.

    Attributes:
        collections: Collections of the highest value.
        tokens: Tokens of the highest estimate in each of them.
        comparables: Comparable sales for each token.
    """

    collections: int = 0
    tokens: int = 25
    comparables: int = 5


def chosen_tokens(con: duckdb.DuckDBPyConnection, config: ReasonsConfig) -> dict[str, list[str]]:
    """Tokens to explain by collection, the most valuable collections first."""
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
    return chosen


def reasons_digest(tokens_digest: str, tokens: list[str], config: ReasonsConfig) -> str:
    """Changes when the estimates of the collection or the choice of tokens do."""
    return hashlib.sha256(repr((tokens_digest, tokens, config)).encode()).hexdigest()


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
