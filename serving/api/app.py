"""The application: routes, problems, description and gate put together.

Here: `build_app`. Not here: starting a server (`server`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from serving.api import models
from serving.api.config import ApiConfig
from serving.api.gate import Application, Gate
from serving.api.hot_path import COMPRESSED_FROM
from serving.api.keys import KeyFile
from serving.api.limiting import Limiter
from serving.api.page import HEADERS, page, wants_page
from serving.api.problems import MEDIA_TYPE, Problem, internal_problem, problem_of
from serving.api.routes import COMMON, router
from serving.api.service import Service
from serving.explainer.client import ExplainerError
from serving.metrics.exposition import Metrics
from serving.metrics.families import CONTENT_TYPE
from serving.metrics.worker import Worker
from serving.store.errors import StoreError
from serving.store.location import open_store
from serving.store.protocol import Store
from serving.views.errors import ViewError

DESCRIPTION = """What every NFT of thousands of collections is worth, how sure that is, and how right it has been.

Prices are in ETH. Every answer carries `as_of`, the version of the store it is from, the age of its data, and whether
they are stale. `ETag` changes with the version. What has no answer is a problem document (RFC 9457)."""

_KINDS_BY_STATUS = {404: "not-found", 405: "method-not-allowed", 400: "invalid-body"}
MAX_ERRORS = 10


def build_app(
    config: ApiConfig,
    store: Store | None = None,
    clock: Callable[[], float] = time.time,
    worker: Worker | None = None,
) -> Application:
    """The whole API as one ASGI application.

    Args:
        config: Settings.
        store: Where editions come from; `config.store` when None.
        clock: Seconds since 1970.
        worker: Which process of a server this is; None: it is none.

    Raises:
        LimitError: A limit cannot be read.
    """
    service = Service(config, store or open_store(config.store, config.refuse_after_s, clock), clock)
    metrics = Metrics(service.store, config.keys, worker, clock)
    limiter = Limiter(config.key_limit, config.anonymous_limit, config.limits_url)
    routes = build_routes(service, metrics)
    compressed = GZipMiddleware(routes, minimum_size=COMPRESSED_FROM, compresslevel=5)
    gate: Any = Gate(compressed, service, KeyFile(config.keys), limiter, metrics.requests)
    if config.cors_origins:
        gate = CORSMiddleware(
            gate,
            allow_origins=config.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "If-None-Match"],
            expose_headers=["ETag", "Retry-After"],
        )
    return gate


def build_routes(service: Service, metrics: Metrics) -> FastAPI:
    """The routes with their description, without the gate."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.asked.written_every(service.config.count_every_s), metrics.running():
            yield
        service.store.close()

    # The pages that draw the description load scripts from elsewhere: left out.
    app = FastAPI(
        title="Assay",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.service = service
    app.include_router(router)
    _add_operations(app, service, metrics)
    _add_page(app)
    _add_problems(app)
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _corrected(plain())
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
    return app


def _add_operations(app: FastAPI, service: Service, metrics: Metrics) -> None:
    problems: dict[int | str, dict[str, Any]] = {status: COMMON[status] for status in (401, 429, 500)}

    @app.get("/healthz", response_model=models.Health, tags=["operations"], summary="The process answers")
    async def healthz() -> Any:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        response_model=models.Ready,
        tags=["operations"],
        summary="There is a store to answer from",
        responses={503: COMMON[503]},
    )
    async def readyz() -> Any:
        pointer, now = service.store.current().pointer, service.now()
        age = pointer.age_s(now)
        return {
            "status": "ok",
            "publication": pointer.version,
            "age_s": int(age),
            "stale": age > pointer.stale_after_s,
        }

    @app.get(
        "/metrics",
        tags=["operations"],
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **problems},
    )
    def read_metrics() -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})


def _add_page(app: FastAPI) -> None:
    made: list[str] = []

    async def for_people(request: Request) -> Response:
        if not wants_page(request.headers.get("accept")):
            raise HTTPException(404)
        if not made:
            made.append(page(app.openapi()))
        return Response(made[0], media_type="text/html", headers=HEADERS)

    for path in ("/", "/docs"):
        app.get(path, include_in_schema=False)(for_people)


def _add_problems(app: FastAPI) -> None:
    async def no_answer(_: Request, error: Exception) -> Response:
        assert isinstance(error, ViewError | StoreError | ExplainerError)
        return _as_response(problem_of(error))

    async def not_as_described(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = error.errors()
        errors = [
            {"at": ".".join(map(str, one["loc"])), "expected": str(one["msg"])} for one in found[:MAX_ERRORS]
        ]
        if any(one["type"] == "json_invalid" for one in found):
            return _as_response(
                Problem("invalid-body", "expected a body that is JSON, found other text; see /openapi.json")
            )
        where = ", ".join(one["at"] for one in errors)
        return _as_response(
            Problem(
                "invalid-request",
                f"expected what /openapi.json describes, found something else at {where}; see `errors`",
                {"errors": errors},
            )
        )

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = _KINDS_BY_STATUS.get(error.status_code, "invalid-request")
        detail = {
            "not-found": "expected a path of /openapi.json, found another",
            "method-not-allowed": "expected a method that /openapi.json lists for the path, found another",
        }.get(kind, "expected a request as /openapi.json describes, found one that cannot be read")
        return _as_response(Problem(kind, detail, headers=dict(error.headers or {})))

    async def failed(_: Request, error: Exception) -> Response:  # noqa: ARG001 - logged by the gate
        return _as_response(internal_problem())

    app.add_exception_handler(Exception, failed)
    app.add_exception_handler(ViewError, no_answer)
    app.add_exception_handler(StoreError, no_answer)
    app.add_exception_handler(ExplainerError, no_answer)
    app.add_exception_handler(RequestValidationError, not_as_described)
    app.add_exception_handler(HTTPException, refused)


def _as_response(problem: Problem) -> Response:
    return Response(problem.body(), problem.status, headers=problem.all_headers())


def _corrected(schema: dict[str, Any]) -> dict[str, Any]:
    """The description as it is: problems have a media type of their own, keys can be sent in two ways."""
    for path in schema["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if status.startswith(("4", "5")) and "application/json" in content:
                    response["content"] = {MEDIA_TYPE: content["application/json"]}
    schema["components"]["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key made by `assay api keys create`",
        },
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    schema["security"] = [{}, {"bearer": []}, {"header": []}]
    return schema
