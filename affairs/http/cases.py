"""Cases at the machines: drafts, submission, progress, hand-over to another machine."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from affairs.http.node import ID_PATTERN, Device, IdempotencyKey, NodeParameter, problems
from hallkit.wire.cases_api import (
    CASES,
    CONTINUATIONS,
    Case,
    CaseContent,
    CaseDraft,
    CaseOfPerson,
    CaseOutcome,
    CasePrecheck,
    CaseProgress,
    CaseQuery,
    CasesFound,
    Continuation,
    ContinuationCode,
)

ROUTES = APIRouter()

CaseId = Annotated[str, Path(pattern=ID_PATTERN)]


@ROUTES.post(
    CASES,
    operation_id="openCase",
    summary="新建办件(暂存),带出已知的内容",
    status_code=201,
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _open_case(
    content: CaseContent,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> Case:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.drafts.open(content, device=device, key=key)


@ROUTES.post(
    CASES + "/precheck",
    operation_id="precheckCase",
    summary="条件预检:填表之前先看行不行",
    responses=problems(400, 403, 404, 413, 422, 503),
)
async def _precheck_case(
    content: CaseContent,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> CasePrecheck:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.submissions.precheck(content, device=device, key=key)


@ROUTES.post(
    CASES + "/find",
    operation_id="findCases",
    summary="查进度:刷身份证,或者用办件编号加身份证后四位",
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _find_cases(
    query: CaseQuery,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,  # noqa: ARG001  # changes nothing; the number stands in a body, not a URL
    response: Response,
) -> CasesFound:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.progress.find(query, device=device)


@ROUTES.post(
    CASES + "/resume",
    operation_id="resumeCase",
    summary="刷身份证接着办:暂存的,或者退回来要改的",
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _resume_case(
    wanted: CaseOfPerson,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> Case:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.drafts.resume(wanted, device=device, key=key)


@ROUTES.post(
    CASES + "/withdraw",
    operation_id="withdrawCase",
    summary="撤回办件",
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _withdraw_case(
    wanted: CaseOfPerson,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> CaseProgress:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.drafts.withdraw(wanted, device=device, key=key)


@ROUTES.get(
    CASES + "/{case_id}",
    operation_id="getCase",
    summary="本机正在办的办件",
    responses=problems(403, 404, 409, 422, 503),
)
async def _get_case(
    case_id: CaseId, node: NodeParameter, device: Device, response: Response
) -> Case:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.drafts.at(case_id, device=device)


@ROUTES.post(
    CASES + "/{case_id}/draft",
    operation_id="saveCase",
    summary="暂存",
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _save_case(  # noqa: PLR0917  # FastAPI gives them by name
    case_id: CaseId,
    draft: CaseDraft,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> Case:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.drafts.save(case_id, draft, device=device, key=key)


@ROUTES.post(
    CASES + "/{case_id}/submit",
    operation_id="submitCase",
    summary="提交;能秒批的当场出结果",
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _submit_case(  # noqa: PLR0917  # FastAPI gives them by name
    case_id: CaseId,
    draft: CaseDraft,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> CaseOutcome:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.submissions.submit(case_id, draft, device=device, key=key)


@ROUTES.post(
    CASES + "/{case_id}/continuation",
    operation_id="handOverCase",
    summary="生成接办码:在别的机器上接着办",
    responses=problems(400, 403, 404, 409, 422, 503),
)
async def _hand_over_case(
    case_id: CaseId,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> Continuation:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.drafts.hand_over(case_id, device=device, key=key)


@ROUTES.post(
    CONTINUATIONS + "/redeem",
    operation_id="redeemContinuation",
    summary="扫接办码接着办",
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _redeem_continuation(
    code: ContinuationCode,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> Case:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.drafts.redeem(code, device=device, key=key)
