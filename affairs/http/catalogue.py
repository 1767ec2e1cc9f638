"""The catalogue that machines download."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse

from affairs.http.node import NodeParameter, problems
from affairs.problems import ProblemCode, Refused
from hallkit.wire.affairs_api import (
    CATALOGUE_DELTA,
    CATALOGUE_MANIFEST,
    CATALOGUE_SNAPSHOT,
    CatalogueManifest,
)

ROUTES = APIRouter()


SNAPSHOT_TYPE = "application/vnd.sqlite3"
DELTA_TYPE = "application/zstd"
SHA256_PATTERN = r"^[0-9a-f]{64}$"


@ROUTES.get(
    CATALOGUE_MANIFEST,
    operation_id="getCatalogueManifest",
    summary="事项目录的版本与签名",
    responses=problems(),
)
async def _get_catalogue_manifest(node: NodeParameter) -> CatalogueManifest:
    return node.catalogue.publication.manifest


@ROUTES.get(
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
        **problems(),
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


@ROUTES.get(
    CATALOGUE_DELTA + "/{from_sha256}",
    operation_id="getCatalogueDelta",
    summary="从某一版到当前版的差异文件",
    response_class=FileResponse,
    responses={
        200: {
            "description": "Zstandard，以旧文件为字典",
            "content": {DELTA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(404, 422),
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
