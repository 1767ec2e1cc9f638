"""The HTTP contract under `/v1`, put together; `hallkit.wire.affairs_api` has its messages."""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from affairs.http import (
    blocks,
    booking,
    cases,
    catalogue,
    help,  # noqa: A004
    holdings,
    licences,
    queue,
    ratings,
    windows,
)
from affairs.http.node import Node
from affairs.middleware import BodyLimit, CrashGuard, problem_response
from affairs.problems import ProblemCode, Refused, code_for_status
from hallkit.errors import StoreError
from hallkit.runtime.log import get_logger
from hallkit.wire.affairs_api import IDEMPOTENCY_HEADER, PROBLEM_TYPE

CONTRACT_VERSION = "1.0.0"
BODY_LIMIT = 256 * 1024


def create_app(node: Node | None = None) -> FastAPI:
    """The application. Without a node it can only describe itself."""
    app = FastAPI(
        title="Hallkit affairs",
        version=CONTRACT_VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.node = node
    for room in (
        queue,
        booking,
        blocks,
        windows,
        cases,
        holdings,
        licences,
        ratings,
        help,
        catalogue,
    ):
        app.include_router(room.ROUTES)
    app.add_exception_handler(Refused, _on_refused)
    app.add_exception_handler(StoreError, _on_store_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_middleware(BodyLimit, limit=BODY_LIMIT)
    app.add_middleware(CrashGuard)
    return app


def document() -> dict[str, Any]:
    """The OpenAPI document of the contract."""
    app = create_app()
    found: dict[str, Any] = get_openapi(
        title=app.title,
        version=app.version,
        description=(
            "The hall's business node. Mutual TLS: the name in the certificate gives the rights. "
            "Every write carries an Idempotency-Key; every error is a problem (RFC 9457)."
        ),
        routes=app.routes,
    )
    for operations in found["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    response["content"] = {PROBLEM_TYPE: response["content"]["application/json"]}
    return found


async def _on_refused(_request: Request, exc: Exception) -> Response:
    refused = cast("Refused", exc)
    return problem_response(refused.problem_code, refused.fields)


async def _on_store_error(_request: Request, exc: Exception) -> Response:
    get_logger().error("store.failed", fault=str(exc))
    return problem_response(ProblemCode.STORE_UNAVAILABLE)


async def _on_invalid(_request: Request, exc: Exception) -> Response:
    code = ProblemCode.REQUEST_INVALID
    for error in cast("RequestValidationError", exc).errors():
        if error["loc"] == ("header", IDEMPOTENCY_HEADER):
            missing = error["type"] == "missing"
            code = ProblemCode.KEY_MISSING if missing else ProblemCode.KEY_INVALID
    return problem_response(code)


async def _on_http_error(_request: Request, exc: Exception) -> Response:
    return problem_response(code_for_status(cast("HTTPException", exc).status_code))
