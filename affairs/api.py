"""The HTTP contract under `/v1` as routes; `hallkit.wire.affairs_api` has its messages."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from affairs.middleware import BodyLimit, CrashGuard, problem_response
from affairs.problems import ProblemCode, Refused, code_for_status
from affairs.publication import Offering
from affairs.queue import Queue
from affairs.server import PEER
from hallkit.errors import StoreError
from hallkit.model.ticket import Ticket
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.wire.affairs_api import (
    CATALOGUE_DELTA,
    CATALOGUE_MANIFEST,
    CATALOGUE_SNAPSHOT,
    HEALTH,
    IDEMPOTENCY_HEADER,
    PROBLEM_TYPE,
    QUEUE_SERVICES,
    TICKETS,
    CatalogueManifest,
    Problem,
    QueueServices,
    TicketIssued,
    TicketRequest,
)
from hallkit.wire.base import Message

CONTRACT_VERSION = "1.0.0"
BODY_LIMIT = 256 * 1024
KEY_PATTERN = r"^[A-Za-z0-9._:-]{8,128}$"
ID_PATTERN = r"^[0-9A-HJKMNP-TV-Z]{26}$"
SNAPSHOT_TYPE = "application/vnd.sqlite3"
DELTA_TYPE = "application/zstd"
SHA256_PATTERN = r"^[0-9a-f]{64}$"

_WORDS = {
    400: "请求无法读取,或缺少防重复编号",
    403: "本机没有权限",
    404: "没有找到",
    413: "内容太大",
    422: "内容不合规定",
    500: "系统故障",
    503: "暂时不可用",
}


class Health(Message):
    """The node serves, and its database answers."""

    status: str
    catalogue_version: str
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class Node:
    """What the routes work with."""

    queue: Queue
    catalogue: Offering
    devices: AbstractSet[str]
    """Machines that may take tickets."""
    clock: Clock


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
    app.include_router(_routes)
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


async def _node(request: Request) -> Node:
    return cast("Node", request.app.state.node)


async def _listed_device(request: Request) -> str:
    """The machine that asks, if it is one of this hall's."""
    peer: str = request.scope.get("extensions", {}).get(PEER, "")
    if peer not in cast("Node", request.app.state.node).devices:
        raise Refused(ProblemCode.DEVICE_NOT_ALLOWED)
    return peer


NodeParameter = Annotated[Node, Depends(_node)]
Device = Annotated[str, Depends(_listed_device)]
IdempotencyKey = Annotated[
    str,
    Header(
        alias=IDEMPOTENCY_HEADER,
        pattern=KEY_PATTERN,
        description="Names this one attempt of the citizen; repeat it when repeating.",
    ),
]


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": Problem, "description": _WORDS[status]}
        for status in sorted({*statuses, 500})
    }


_routes = APIRouter()


@_routes.get(HEALTH, operation_id="getHealth", summary="本节点是否可用", responses=_problems(503))
async def _get_health(node: NodeParameter) -> Health:
    await node.queue.waiting()
    return Health(
        status="ok",
        catalogue_version=node.catalogue.publication.manifest.version,
        as_of_ms=node.clock.wall_ms(),
    )


@_routes.get(
    QUEUE_SERVICES,
    operation_id="listQueueServices",
    summary="各业务当前等候人数",
    responses=_problems(503),
)
async def _list_queue_services(node: NodeParameter) -> QueueServices:
    return await node.queue.waiting()


@_routes.post(
    TICKETS,
    operation_id="issueTicket",
    summary="取号",
    status_code=201,
    responses={
        200: {"model": TicketIssued, "description": "同一编号此前已取的号"},
        **_problems(400, 403, 404, 413, 422, 503),
    },
)
async def _issue_ticket(
    wanted: TicketRequest,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> TicketIssued:
    issued = await node.queue.issue(wanted, device=device, key=key)
    response.status_code = 200 if issued.again else 201
    response.headers["Cache-Control"] = "no-store"
    return issued


@_routes.get(
    TICKETS + "/{ticket_id}",
    operation_id="getTicket",
    summary="号票当前状态",
    responses=_problems(403, 404, 422, 503),
)
async def _get_ticket(
    ticket_id: Annotated[str, Path(pattern=ID_PATTERN)],
    node: NodeParameter,
    device: Device,  # noqa: ARG001  # asked for its rights
    response: Response,
) -> Ticket:
    response.headers["Cache-Control"] = "no-store"
    return await node.queue.ticket(ticket_id)


@_routes.get(
    CATALOGUE_MANIFEST,
    operation_id="getCatalogueManifest",
    summary="事项目录的版本与签名",
    responses=_problems(),
)
async def _get_catalogue_manifest(node: NodeParameter) -> CatalogueManifest:
    return node.catalogue.publication.manifest


@_routes.get(
    CATALOGUE_SNAPSHOT,
    operation_id="getCatalogueSnapshot",
    summary="事项目录文件",
    response_class=FileResponse,
    responses={
        200: {
            "description": "签名清单所指的文件",
            "content": {SNAPSHOT_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        304: {"description": "与 If-None-Match 所示版本相同"},
        **_problems(),
    },
    openapi_extra={
        "parameters": [{"in": "header", "name": "If-None-Match", "schema": {"type": "string"}}]
    },
)
async def _get_catalogue_snapshot(request: Request, node: NodeParameter) -> Response:
    headers = {"ETag": node.catalogue.publication.etag, "Cache-Control": "no-cache"}
    asked = request.headers.get("if-none-match", "")
    known = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
    if known & {node.catalogue.publication.etag, "*"}:
        return Response(status_code=304, headers=headers)
    return FileResponse(node.catalogue.publication.path, headers=headers, media_type=SNAPSHOT_TYPE)


@_routes.get(
    CATALOGUE_DELTA + "/{from_sha256}",
    operation_id="getCatalogueDelta",
    summary="从某一版到当前版的差异文件",
    response_class=FileResponse,
    responses={
        200: {
            "description": "Zstandard，以旧文件为字典",
            "content": {DELTA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        **_problems(404, 422),
    },
)
async def _get_catalogue_delta(
    from_sha256: Annotated[str, Path(pattern=SHA256_PATTERN)], node: NodeParameter
) -> Response:
    path = node.catalogue.publication.delta(from_sha256)
    if path is None:
        raise Refused(ProblemCode.NOT_FOUND)
    headers = {"ETag": node.catalogue.publication.etag, "Cache-Control": "no-cache"}
    return FileResponse(path, headers=headers, media_type=DELTA_TYPE)


async def _on_refused(_request: Request, exc: Exception) -> Response:
    return problem_response(cast("Refused", exc).problem_code)


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
