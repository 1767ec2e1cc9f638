"""本地信息库: what is kept of a person, with their consent, for that person to see and to end."""

from __future__ import annotations

from fastapi import APIRouter, Response

from affairs.http.node import Device, IdempotencyKey, NodeParameter, problems
from hallkit.wire.cases_api import (
    HOLDINGS,
    Holdings,
    HoldingsConsent,
    HoldingsForget,
    PersonInBody,
)

ROUTES = APIRouter()


@ROUTES.post(
    HOLDINGS + "/find",
    operation_id="findHoldings",
    summary="刷身份证看本人存了哪些材料",
    responses=problems(400, 403, 413, 422, 503),
)
async def _find_holdings(
    who: PersonInBody,
    node: NodeParameter,
    device: Device,  # noqa: ARG001  # asked for its rights
    key: IdempotencyKey,  # noqa: ARG001  # changes nothing; the number stands in a body, not a URL
    response: Response,
) -> Holdings:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.shelf.of_person(who.number)


@ROUTES.post(
    HOLDINGS + "/consent",
    operation_id="consentToHoldings",
    summary="同意或者撤回:存下材料以后再用",
    responses=problems(400, 403, 413, 422, 503),
)
async def _consent_to_holdings(
    said: HoldingsConsent,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> Holdings:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.shelf.consent(said, device=device, key=key)


@ROUTES.post(
    HOLDINGS + "/forget",
    operation_id="forgetHoldings",
    summary="删除存下的材料",
    responses=problems(400, 403, 404, 413, 422, 503),
)
async def _forget_holdings(
    wanted: HoldingsForget,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> Holdings:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.shelf.forget(wanted, device=device, key=key)
