"""`assay value`: one token's estimate in one line. Here: options and words. Not here: estimates (`ml.pricing`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml.text.times import utc_minute
from ml.text.visible import visible
from orchestration.cli.dollars import dollars_in_words, in_dollars
from orchestration.cli.opened import known_collections, open_home
from orchestration.cli.options import AsJson, Home
from orchestration.output.amounts import amount
from orchestration.output.terminal import print_json, say
from orchestration.settings import SettingsError

if TYPE_CHECKING:
    import duckdb


def value(
    collection: Annotated[str, typer.Argument(help="Collection.")],
    token: Annotated[str, typer.Argument(help="Token id.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """The estimate of a token in one line: ETH and US dollars, the 80 % interval, the grade, and as of when.

    Exit codes: 0 printed, also when the token has no value, with the reason · 2 no such collection or token.
    """
    settings = open_home(home)
    (collection,) = known_collections(settings, [collection])
    from orchestration.resources import open_lake

    with open_lake(settings).read() as con:
        document = read_value(con, collection, token)
    if as_json:
        print_json(document)
    else:
        say(in_words(document))


def read_value(con: duckdb.DuckDBPyConnection, collection: str, token: str) -> dict[str, Any]:
    """The estimate of a token, and the rate of ether at that time with its own time.

    Raises:
        SettingsError: There is no such token.
    """
    from lake.bound import execute_bound

    cursor = execute_bound(
        con,
        """
        select collection, token_id, estimate_eth, lower_80_eth, upper_80_eth, grade, tier, no_value_reason,
            model_version, as_of
        from predictions.token_estimates where collection = $collection and token_id = $token
        """,
        {"collection": collection, "token": token},
    )
    names = [column[0] for column in cursor.description or ()]
    row = cursor.fetchone()
    if row is None:
        raise SettingsError(f"there is no token {visible(token)} in {visible(collection)}")
    found = dict(zip(names, row, strict=True))
    return {**found, **in_dollars(con, found["estimate_eth"], found["as_of"])}


def in_words(document: dict[str, Any]) -> str:
    """The line."""
    name = f"{visible(document['collection'])} #{visible(document['token_id'])}"
    when = f"as of {utc_minute(document['as_of'])}"
    if document["estimate_eth"] is None:
        reason = str(document["no_value_reason"] or "not known").replace("_", " ")
        return f"{name}: no value ({reason}), {when}"
    parts = [f"{amount(document['estimate_eth'])} ETH"]
    if document["lower_80_eth"] is not None:
        parts[0] += f" (80 %: {amount(document['lower_80_eth'])} to {amount(document['upper_80_eth'])})"
    if dollars := dollars_in_words(document):
        parts.append(dollars)
    if document["grade"]:
        parts.append(f"grade {document['grade']}")
    return f"{name}: {', '.join(parts)}, {when}"
