"""What stands before every route: a limit on bodies, and no fault that shows its data."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from affairs.problems import ProblemCode, problem
from hallkit.runtime.log import get_logger
from hallkit.wire.affairs_api import PROBLEM_TYPE, FieldFault


def problem_response(code: ProblemCode, fields: Sequence[FieldFault] = ()) -> Response:
    said = problem(code, fields)
    return Response(
        said.model_dump_json(), said.status, {"Cache-Control": "no-store"}, PROBLEM_TYPE
    )


class BodyLimit:
    """Refuses bodies over `limit` bytes, whether they say so beforehand or not."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isascii() or not announced.isdigit() or int(announced) > self._limit:
            response = problem_response(ProblemCode.BODY_TOO_LARGE)
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


class CrashGuard:
    """Answers a fault of ours with a problem and logs where it happened, never with what.

    Messages of exceptions may quote the values that caused them; a traceback's lines do not.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as exc:  # noqa: BLE001  # the supervisor boundary of a request
            get_logger().error(
                "request.crashed",
                fault=type(exc).__name__,
                where=[
                    f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
                    for frame in traceback.extract_tb(exc.__traceback__)[-6:]
                ],
            )
            if not started and scope["type"] == "http":
                await problem_response(ProblemCode.INTERNAL)(scope, receive, send)
