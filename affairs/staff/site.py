"""The staff pages put together: every page names the right it needs, one gate stands before all.

A page that names none cannot be written down. What changes something comes from a form of ours
(origin and form token), of somebody who is logged in, and not too often.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs

import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from affairs.middleware import CrashGuard
from affairs.problems import ProblemCode, problem
from affairs.staff.limits import WriteBrake
from affairs.staff.rights import Right
from affairs.staff.sessions import Session, Sessions
from affairs.store import Store
from hallkit.errors import StoreError
from hallkit.lexicon.words import Words
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.web import ages
from hallkit.web.headers import StrictHeaders
from hallkit.web.pages import Assets, environment

COOKIE = "hallkit_staff"
FORM_LIMIT = 16 * 1024
_FIELDS = 150
_ASSET = "/assets/{name}"
LOGIN = "/login"
PASSWORD = "/password"  # noqa: S105  # a path
LOGOUT = "/logout"
FORM_TOKEN = "form"  # noqa: S105  # a field's name

REFERRER = {"Referrer-Policy": "same-origin"}
"""With `no-referrer` browsers send forms without their origin, and the origin is looked at."""

_PROBLEMS = {code.value: code for code in ProblemCode}

Tone = Literal["plain", "done", "attention", "fault"]
MARKS: Mapping[Tone, str] = {"done": "●", "plain": "○", "attention": "▲", "fault": "✕"}


@dataclass(slots=True)
class Ask:
    """One request, and who asks."""

    request: Request
    session: Session | None
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_script(self) -> bool:
        """Asked by the page's script, which wants JSON."""
        return "application/json" in self.request.headers.get("accept", "")

    @property
    def known(self) -> Session:
        """Whose login it is; only pages for people who are logged in ask."""
        if self.session is None:
            raise LookupError("nobody is logged in")
        return self.session

    @property
    def address(self) -> str:
        return self.request.client.host if self.request.client is not None else ""


Do = Callable[[Ask], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """One line of the table of pages."""

    method: Literal["GET", "POST"]
    path: str
    right: Right
    do: Do


@dataclass(frozen=True, slots=True)
class Link:
    """A page that stands in the navigation, for whoever has its right."""

    path: str
    words: str
    right: Right


LINKS = (
    Link("/windows", "staff.nav.windows", Right.SERVE),
    Link("/hall", "staff.nav.hall", Right.WATCH_HALL),
    Link("/help", "staff.nav.help", Right.GUIDE),
    Link("/call-backs", "staff.nav.call_backs", Right.CALL_BACK),
    Link("/audit", "staff.nav.audit", Right.READ_AUDIT),
)


class Drawing:
    """Draws pages: templates, words, and what every page has."""

    def __init__(self, words: Words, clock: Clock, *, site_name: str) -> None:
        self.words = words
        self._clock = clock
        self._environment = environment("affairs.staff", words)
        self._environment.globals |= {
            "mark": MARKS.__getitem__,
            "site_name": site_name,
            **ages.FUNCTIONS,
        }

    def page(self, ask: Ask, template: str, *, status: int = 200, **told: Any) -> HTMLResponse:
        """A whole page."""
        session = ask.session
        rights = session.account.rights if session is not None else frozenset()
        now_ms = self._clock.wall_ms()
        html = self._environment.get_template(f"app/{template}.html").render(
            me=session.account if session is not None else None,
            form_token=session.form_token if session is not None else "",
            links=[link for link in LINKS if link.right in rights],
            path=ask.request.url.path,
            now_ms=now_ms,
            ago=lambda ms: ages.ago(self.words, now_ms - ms),
            span=lambda ms: ages.span(self.words, now_ms - ms),
            script_words=dict(ages.script_words(self.words))
            | {"live_lost": self.words("staff.live_lost", time="{time}")},
            **told,
        )
        return HTMLResponse(html, status)

    def wording(self, code: str) -> tuple[str, str]:
        """What happened, and what to do: of a problem of the node, or of these pages."""
        if code in _PROBLEMS:
            known = problem(_PROBLEMS[code])
            return known.title, known.detail
        key = code if self.words.has(f"staff.{code}_title") else "failed"
        return self.words(f"staff.{key}_title"), self.words(f"staff.{key}_text")

    def answered(self, ask: Ask, code: str, back: str, *, keep: str = "") -> Response:
        """What became of an order: for the script as JSON, else the page with fresh state."""
        title, text = self.wording(code) if code else ("", "")
        if ask.is_script:
            status = 409 if code else 200
            return JSONResponse({"ok": not code, "title": title, "text": text}, status)
        return RedirectResponse(f"{back}?said={code}{keep}" if code else back, 303)

    def said(self, ask: Ask) -> tuple[str, str] | None:
        """What the page says of the order that led to it."""
        code = ask.request.query_params.get("said", "")
        return self.wording(code) if code else None

    def piece(self, name: str, **told: Any) -> str:
        """A part of a page that is replaced while it is looked at; its script fills in ages."""
        template = self._environment.get_template(f"app/{name}.html")
        return template.render(ago=lambda _: "", span=lambda _: "", **told)

    def notice(self, ask: Ask, status: int, key: str, **values: object) -> Response:
        """What cannot be, and what to do: `staff.<key>_title`, `staff.<key>_text`."""
        title = self.words(f"staff.{key}_title", **values)
        text = self.words(f"staff.{key}_text", **values)
        if ask.is_script:
            told = {"ok": False, "title": title, "text": text, "again": key == "expired"}
            return JSONResponse(told, status)
        return self.page(ask, "notice", status=status, title=title, text=text)


class Site:
    """The gate before the pages."""

    def __init__(
        self,
        pages: Iterable[Page],
        *,
        store: Store,
        sessions: Sessions,
        drawing: Drawing,
        clock: Clock,
        secure: bool,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._drawing = drawing
        self._brake = WriteBrake(clock)
        self._cookie = cookie_name(secure=secure)
        self._secure = secure
        self._assets = Assets("hallkit.web", "affairs.staff")
        self.pages = (*pages, Page("GET", _ASSET, Right.ANYONE, self._asset))
        routes = [Route(page.path, self._gated(page), methods=[page.method]) for page in self.pages]
        inner = Starlette(routes=routes, exception_handlers={404: self._absent, 405: self._absent})
        self.app: ASGIApp = StrictHeaders(CrashGuard(inner), REFERRER)

    def _gated(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            ask = Ask(request, None)
            try:
                if page.path != _ASSET:
                    ask.session = await self._session(request)
                refused = await self._refusal(page, ask)
                return refused if refused is not None else await page.do(ask)
            except StoreError as fault:
                get_logger().error("store.failed", fault=str(fault))
                return self._drawing.notice(ask, 503, "store")

        return answer

    async def _session(self, request: Request) -> Session | None:
        token = request.cookies.get(self._cookie, "")
        if not token:
            return None

        def work(connection: sa.Connection) -> Session | None:
            return self._sessions.find(connection, token)

        return await self._store.transaction(work)

    async def _refusal(self, page: Page, ask: Ask) -> Response | None:
        """Why this page is not for whoever asks; None: it is."""
        if page.method == "POST" and not _is_ours(ask.request):
            return self._drawing.notice(ask, 403, "stale")
        if page.right is not Right.ANYONE and (answer := self._right_refusal(page, ask)):
            return answer
        if page.method == "POST":
            form = await _form(ask.request)
            if form is None:
                return self._drawing.notice(ask, 413, "too_long")
            ask.form = form
            if page.right is not Right.ANYONE:
                return self._write_refusal(ask)
        return None

    def _right_refusal(self, page: Page, ask: Ask) -> Response | None:
        if ask.session is None:
            return self._sent_away(ask)
        if page.right not in ask.session.account.rights:
            return self._drawing.notice(ask, 403, "no_right")
        if ask.session.account.must_change and page.path not in {PASSWORD, LOGOUT}:
            return RedirectResponse(PASSWORD, 303)
        return None

    def _write_refusal(self, ask: Ask) -> Response | None:
        said, right = ask.form.get(FORM_TOKEN, ""), ask.known.form_token
        if not hmac.compare_digest(said.encode(), right.encode()):
            return self._drawing.notice(ask, 403, "stale")
        wait_s = self._brake.wait_s(ask.known.id)
        if wait_s:
            answer = self._drawing.notice(ask, 429, "too_fast", seconds=wait_s)
            answer.headers["Retry-After"] = str(wait_s)
            return answer
        return None

    def _sent_away(self, ask: Ask) -> Response:
        """To the login; who had one is told that it is over, and that nothing was done."""
        wants_page = "text/html" in ask.request.headers.get("accept", "")
        if self._cookie in ask.request.cookies or not wants_page:
            answer = self._drawing.notice(ask, 401, "expired")
            answer.delete_cookie(self._cookie, secure=self._secure, httponly=True)
            return answer
        return RedirectResponse(LOGIN, 303)

    async def _asset(self, ask: Ask) -> Response:
        return self._assets.answer(ask.request.path_params["name"])

    async def _absent(self, request: Request, _exc: Exception) -> Response:
        return self._drawing.notice(Ask(request, None), 404, "absent")


def cookie_name(*, secure: bool) -> str:
    """`__Host-`: browsers take it over HTTPS only, from this host only, for all paths."""
    return f"__Host-{COOKIE}" if secure else COOKIE


def _is_ours(request: Request) -> bool:
    """The form was sent from a page of this very address."""
    origin = request.headers.get("origin", "")
    return origin == f"{request.url.scheme}://{request.headers.get('host', '')}"


async def _form(request: Request) -> Mapping[str, str] | None:
    """The first value of each field; None if it is too long, or has too many."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_LIMIT:
            return None
    try:
        text = body.decode("utf-8", "replace")
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        return None
    return {name: values[0] for name, values in fields.items()}
