"""One token opens the pages: a form, a signed session cookie, a brake on guessing.

The token is a file among the process's credentials. The cookie is signed with a key that lives as
long as the process: a restart logs everybody out. Programs send `Authorization: Bearer <token>`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode

from jinja2 import Environment
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hallkit.errors import TrustError
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger

COOKIE = "hallkit_session"
SESSION_S = 12 * 3600
FORM_LIMIT = 2048
TOKEN_MINIMUM = 16
"""Characters: shorter ones could be guessed, or are a file that somebody emptied."""

TRIES = 10
TRIES_WINDOW_S = 60.0
"""Wrong tokens that all visitors together may try: there is one token, whoever guesses it."""

LOGIN = "/login"
LOGOUT = "/logout"
ASSETS = "/assets/"
"""Style sheets and scripts need no login: the login page uses them."""


def read_token(path: Path) -> str:
    """The access token; `TrustError` if there is none worth the name."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise TrustError(f"{path.name}: {type(exc).__name__}") from exc
    if len(token) < TOKEN_MINIMUM:
        raise TrustError(f"{path.name}: shorter than {TOKEN_MINIMUM} characters")
    return token


class LoginGate:
    """ASGI middleware: who is not logged in sees the login page, and nothing behind it."""

    def __init__(
        self, app: ASGIApp, *, token: str, templates: Environment, clock: Clock, secure: bool
    ) -> None:
        self._app = app
        self._token = hashlib.sha256(token.encode()).digest()
        self._key = secrets.token_bytes(32)
        self._page = templates.get_template("web/login.html")
        self._clock = clock
        self._secure = secure
        self._failures: list[float] = []
        self._log = get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer = await self._answer(request)
        await (self._app if answer is None else answer)(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """Our own answer, or None if the application shall give it."""
        path = request.url.path
        answer: Response | None = None
        if path == LOGIN:
            is_sent = request.method == "POST"
            answer = await self._log_in_by_form(request) if is_sent else self._form(200)
        elif path == LOGOUT and request.method == "POST":
            answer = self._logged_out()
        elif "token" in request.query_params:
            answer = self._log_in_by_link(request)
        elif not path.startswith(ASSETS) and not self._may_enter(request.cookies, request.headers):
            answer = self._sent_away(request)
        return answer

    def _sent_away(self, request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(LOGIN, 303)
        return PlainTextResponse("log in first", 401)

    def _may_enter(self, cookies: Mapping[str, str], headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._wait_s() == 0 and self._holds(token)
        return self._is_session(cookies.get(COOKIE, ""))

    async def _log_in_by_form(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > FORM_LIMIT:
                return PlainTextResponse("too long", 413)
        fields = parse_qs(body.decode("ascii", "replace"))
        wait_s = self._wait_s()
        if wait_s:
            return self._form(429, "console.login.too_often", seconds=wait_s)
        if not self._holds(fields.get("token", [""])[0].strip()):
            return self._form(403, "console.login.wrong")
        return self._logged_in("/")

    def _log_in_by_link(self, request: Request) -> Response:
        wait_s = self._wait_s()
        if wait_s:
            return self._form(429, "console.login.too_often", seconds=wait_s)
        if not self._holds(request.query_params["token"]):
            return self._form(403, "console.login.wrong")
        rest = QueryParams(
            [pair for pair in request.query_params.multi_items() if pair[0] != "token"]
        )
        query = f"?{urlencode(rest.multi_items())}" if rest else ""
        # Only the path: a link may not send anybody elsewhere.
        return self._logged_in(f"/{quote(request.url.path.strip('/'))}{query}")

    def _holds(self, token: str) -> bool:
        """Compare in constant time; a wrong token is remembered."""
        right = hmac.compare_digest(hashlib.sha256(token.encode()).digest(), self._token)
        if not right:
            self._failures.append(self._clock.mono_s())
            self._log.warning("login.failed")
        return right

    def _wait_s(self) -> int:
        """Seconds until the next try is allowed; 0 for now."""
        now = self._clock.mono_s()
        self._failures = [at for at in self._failures if now - at < TRIES_WINDOW_S]
        if len(self._failures) < TRIES:
            return 0
        return max(1, round(self._failures[-TRIES] + TRIES_WINDOW_S - now))

    def _form(self, status: int, complaint: str = "", **values: object) -> Response:
        page = self._page.render(complaint=complaint, values=values, field_limit=FORM_LIMIT // 2)
        return HTMLResponse(page, status)

    def _logged_in(self, where: str) -> Response:
        self._log.info("login.done")
        answer = RedirectResponse(where, 303)
        expires = round(self._clock.mono_s()) + SESSION_S
        answer.set_cookie(
            COOKIE,
            self._signed(f"{expires}.{secrets.token_urlsafe(12)}"),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            secure=self._secure,
        )
        return answer

    def _logged_out(self) -> Response:
        answer = RedirectResponse(LOGIN, 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=self._secure)
        return answer

    def _signed(self, text: str) -> str:
        digest = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    def _is_session(self, cookie: str) -> bool:
        text, _, _ = cookie.rpartition(".")
        if not hmac.compare_digest(self._signed(text).encode(), cookie.encode()):
            return False
        expires = text.partition(".")[0]
        return expires.isdigit() and int(expires) > self._clock.mono_s()
