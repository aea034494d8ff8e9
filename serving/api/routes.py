"""The routes of /v1.

Here: paths, parameters, and which view answers. Not here: what an answer says (`serving.views`), or who may ask
(`gate`).

Plain functions run in a thread: what reads many rows must not keep others waiting. Single look-ups are cheaper than
that.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import unquote

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator

from serving.api import models
from serving.api.gains_models import WalletGainsAnswer
from serving.api.service import Service, is_known
from serving.store.protocol import Edition, TokenQuery
from serving.views import collections as collection_views
from serving.views import gains as gains_views
from serving.views import portfolio as portfolio_views
from serving.views import state as state_views
from serving.views import tokens as token_views
from serving.views.reasons import reasons_answer

# Paths are routed percent-encoded (`gate`), so names are decoded here.
CollectionId = Annotated[
    str,
    Path(description="Name, contract or slug of a collection, percent-encoded as one segment"),
    AfterValidator(unquote),
]
TokenId = Annotated[
    str, Path(description="Token id, percent-encoded as one segment"), AfterValidator(unquote)
]
Address = Annotated[
    str, Path(description="Address of a wallet, upper or lower case"), AfterValidator(unquote)
]
By = Annotated[
    Literal["name", "contract", "slug"] | None, Query(description="What the identifier is, if several match")
]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before", max_length=64_000)]
Limit = Annotated[int, Query(ge=1, le=1_000, description="Rows of a page")]
Bound = Annotated[float | None, Query(allow_inf_nan=False, ge=0, description="ETH")]

_PROBLEM: dict[str, Any] = {"model": models.ProblemDocument}
COMMON: dict[int | str, dict[str, Any]] = {
    304: {"description": "The client's version is current"},
    **{
        status: {**_PROBLEM, "description": about}
        for status, about in {
            400: "Path, cursor or body cannot be read",
            401: "A valid key is needed",
            404: "No such thing",
            409: "Several collections are meant",
            422: "Not as described here",
            429: "Limit of requests reached",
            500: "An error of the server",
            503: "The store cannot answer",
        }.items()
    },
}
POSTED: dict[int | str, dict[str, Any]] = {
    **{status: described for status, described in COMMON.items() if status not in (304, 404, 409)},
    413: {**_PROBLEM, "description": "The body is too large"},
}

router = APIRouter(prefix="/v1")


def get(path: str, model: type, tag: str, summary: str) -> Any:
    """A route that reads one resource."""
    return router.get(
        path, response_model=model, responses=COMMON, tags=[tag], summary=summary, response_class=Response
    )


def post(path: str, model: type, tag: str, summary: str) -> Any:
    """A route that answers a list that is too long for an address."""
    return router.post(
        path, response_model=model, responses=POSTED, tags=[tag], summary=summary, response_class=Response
    )


@get("/collections", models.CollectionPage, "collections", "List collections")
def list_collections(
    request: Request,
    sort: Annotated[
        Literal["name", "-name", "value", "-value"], Query(description="`-` is descending")
    ] = "name",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Collections with estimates, a page at a time."""
    service, edition, now = _parts(request)
    return _reply(
        request, service, edition, now, collection_views.collections_answer(edition, sort, cursor, limit, now)
    )


@get("/collections/{collection}", models.CollectionAnswer, "collections", "One collection")
async def get_collection(request: Request, collection: CollectionId, by: By = None) -> Response:
    """Level, spread, liquidity, models, track record, drift and freshness."""
    service, edition, now = _parts(request)
    body = await service.look_up(collection_views.collection_answer, edition, collection, by, now)
    return _reply(request, service, edition, now, body)


@get("/collections/{collection}/tokens", models.TokenPage, "tokens", "Tokens of a collection")
def list_tokens(
    request: Request,
    collection: CollectionId,
    by: By = None,
    sort: Annotated[
        Literal["token", "-token", "value", "-value"],
        Query(description="By id (as text) or estimate; `-` is descending"),
    ] = "token",
    grade: Annotated[list[Literal["A", "B", "C", "D"]], Query(description="Any of these grades")] = [],  # noqa: B006
    tier: Annotated[
        list[Literal["own_model", "pooled", "index_rarity", "none"]], Query(description="Any of these tiers")
    ] = [],  # noqa: B006
    min_eth: Bound = None,
    max_eth: Bound = None,
    valued: Annotated[bool | None, Query(description="Only with, or only without a value")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Estimates of a collection's tokens, sorted and filtered, a page at a time."""
    query = TokenQuery(
        by=sort.lstrip("-"),
        descending=sort.startswith("-"),
        limit=limit,
        grades=tuple(sorted(set(grade))),
        tiers=tuple(sorted(set(tier))),
        low_eth=min_eth,
        high_eth=max_eth,
        valued=valued,
    )
    service, edition, now = _parts(request)
    return _reply(
        request,
        service,
        edition,
        now,
        token_views.tokens_answer(edition, collection, by, query, cursor, now),
    )


@get("/tokens/{collection}/{token}", models.TokenAnswer, "tokens", "Estimate of a token")
async def get_token(request: Request, collection: CollectionId, token: TokenId, by: By = None) -> Response:
    """The current estimate with interval, grade, floor and last sale, or the reason why there is none."""
    service, edition, now = _parts(request)
    body = await service.look_up(token_views.token_answer, edition, collection, token, by, now)
    return _reply(request, service, edition, now, body)


@get("/tokens/{collection}/{token}/explanation", models.Explanation, "tokens", "Why a token has its price")
async def get_explanation(
    request: Request, collection: CollectionId, token: TokenId, by: By = None
) -> Response:
    """The parts of the estimate, comparable sales, and how far to trust it: published, or computed when asked for."""
    service, edition, now = _parts(request)
    body = await reasons_answer(
        edition, collection, token, by, now, service.explainer, service.asked.count, service.look_up
    )
    return _reply(request, service, edition, now, body)


@get("/tokens/{collection}/{token}/history", models.HistoryPage, "tokens", "Past estimates of a token")
async def get_history(
    request: Request,
    collection: CollectionId,
    token: TokenId,
    by: By = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Every estimate of the last year as it was published, newest first."""
    service, edition, now = _parts(request)
    body = await service.look_up(
        token_views.history_answer, edition, collection, token, by, cursor, limit, now
    )
    return _reply(request, service, edition, now, body)


@get("/wallets/{address}", models.WalletAnswer, "portfolios", "Positions and value of a wallet")
def get_wallet(request: Request, address: Address) -> Response:
    """The tokens that an address holds, their value and its interval."""
    service, edition, now = _parts(request)
    return _reply(request, service, edition, now, portfolio_views.wallet_answer(edition, address, now))


@get("/wallets/{address}/gains", WalletGainsAnswer, "portfolios", "Cost and gains of a wallet")
def get_wallet_gains(request: Request, address: Address) -> Response:
    """What an address holds at which cost and has gained, held and sold; a gain without a known cost is null."""
    service, edition, now = _parts(request)
    return _reply(request, service, edition, now, gains_views.gains_answer(edition, address, now))


@get("/accuracy", models.AccuracyAnswer, "state", "How right estimates have been")
async def get_accuracy(request: Request) -> Response:
    """Walk-forward errors beside the baselines, errors on the newest sales, and buckets by week."""
    service, edition, now = _parts(request)
    body = await service.look_up(state_views.accuracy_answer, edition, now)
    return _reply(request, service, edition, now, body)


@get("/status", models.StatusAnswer, "state", "Freshness and service levels")
async def get_status(request: Request) -> Response:
    """What is served since when, how fresh each source is, and whether promises are kept."""
    service, edition, now = _parts(request)
    body = await service.look_up(state_views.status_answer, service.store, edition, now)
    return _reply(request, service, edition, now, body)


@post("/estimates:batch", models.BatchAnswer, "tokens", "Estimates of many tokens")
def batch(request: Request, asked: models.TokenList) -> Response:
    """Up to 1,000 tokens, answered in the order asked; a token without an answer does not cost the others."""
    service, edition, now = _parts(request)
    body = token_views.batch_answer(edition, [(t.collection, t.token_id) for t in asked.tokens], now)
    return _reply(request, service, edition, now, body)


@post("/portfolio:value", models.PortfolioAnswer, "portfolios", "Value of a list of tokens")
def value_portfolio(request: Request, asked: models.TokenList) -> Response:
    """The sum of up to 1,000 tokens, with an interval that knows that their errors move together."""
    service, edition, now = _parts(request)
    body = portfolio_views.portfolio_answer(edition, [(t.collection, t.token_id) for t in asked.tokens], now)
    return _reply(request, service, edition, now, body)


def _parts(request: Request) -> tuple[Service, Edition, float]:
    """The service, one edition for the whole of this request, and the time."""
    service: Service = request.app.state.service
    return service, service.store.current(), service.now()


def _reply(request: Request, service: Service, edition: Edition, now: float, body: bytes) -> Response:
    response_headers = service.headers(edition, now)
    if request.method == "GET":
        headers = {name.decode(): value.decode() for name, value in response_headers}
        if is_known(request.headers.get("if-none-match"), response_headers[0][1]):
            return Response(status_code=304, headers=headers)
    else:
        headers = {"cache-control": "no-store"}
    return Response(body, headers=headers, media_type="application/json")
