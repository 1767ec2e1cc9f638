"""The technicians' page: machines, their parts, what happened. Drawn by the server, live by SSE."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Literal

from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse, Response
from sse_starlette.sse import EventSourceResponse
from starlette.types import ASGIApp

from hallkit.lexicon.words import Words
from hallkit.runtime.clock import Clock, utc
from hallkit.web.headers import StrictHeaders
from hallkit.web.live import LivePage, Pieces
from hallkit.web.login import LoginGate
from hallkit.web.pages import Assets, environment
from ops.effects import HALL_TIME
from ops.view import CentreView, EventView, MachineView, Tone

MARKS: Mapping[Tone, str] = {"done": "●", "plain": "○", "attention": "▲", "fault": "✕"}

Show = Literal["all", "fine", "look_after", "away"]
SHOWN: Mapping[Show, Tone | None] = {
    "all": None,
    "fine": "done",
    "look_after": "attention",
    "away": "fault",
}
"""Groups of machines by what is to be done about them, and their shape."""

SCRIPT_WORDS = ("ago", "just_now", "seconds", "minutes", "hours", "days", "live", "live_lost")
"""Wordings that the page's script fills by itself."""

JUST_NOW_S = 5
SPANS_S = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}


class Console:
    """The pages of the operations centre."""

    def __init__(
        self,
        read: Callable[[], Awaitable[CentreView]],
        *,
        words: Words,
        clock: Clock,
        token: str,
        secure: bool,
    ) -> None:
        self._read = read
        self._words = words
        templates = environment("ops", words)
        templates.globals |= {
            "mark": MARKS.__getitem__,
            "group_of": group_of,
            "told": self._told,
            "port": self._port,
            "role": self._role,
            "time_of_day": time_of_day,
            "edition": edition,
            "full_time": full_time,
            "iso": lambda ms: _local(ms).isoformat(timespec="seconds"),
            "shown": SHOWN,
        }
        self._page = templates.get_template("app/console.html")
        self._counted = templates.get_template("app/count.html")
        self._notices = templates.get_template("app/notices.html")
        self._card = templates.get_template("app/card.html")
        self._events = templates.get_template("app/events.html")
        self.live = LivePage(self._draw, clock)
        self.app: ASGIApp = StrictHeaders(
            LoginGate(self._routes(), token=token, templates=templates, clock=clock, secure=secure)
        )

    def _routes(self) -> FastAPI:
        app = FastAPI(title="Hallkit ops", docs_url=None, redoc_url=None, openapi_url=None)
        assets = Assets("hallkit.web", "ops")

        @app.get("/", response_class=HTMLResponse)
        async def console(show: Annotated[Show, Query()] = "all") -> str:
            return self._render(await self._read(), show)

        @app.get("/api/state")
        async def state() -> Response:
            view = await self._read()
            return Response(view.model_dump_json(), media_type="application/json")

        @app.get("/events")
        async def events() -> EventSourceResponse:
            return EventSourceResponse(self.live.stream())

        @app.get("/assets/{name}")
        async def asset(name: str) -> Response:
            return assets.answer(name)

        return app

    def _render(self, view: CentreView, show: Show) -> str:
        placeholders = {name: f"{{{name}}}" for name in ("n", "span", "time")}
        return self._page.render(
            view=view,
            show=show,
            counts=counts(view),
            ago=lambda ms: self._ago(view.now_ms - ms),
            script_words={
                key: self._words(f"console.{key}", **placeholders) for key in SCRIPT_WORDS
            },
        )

    async def _draw(self) -> Pieces:
        view = await self._read()
        # Ages grow in the browser; in a piece they would make every piece differ every time.
        told = {"view": view, "ago": lambda _ms: ""}
        pieces = {
            f"count-{group}": self._counted.render(group=group, number=number)
            for group, number in counts(view).items()
        }
        pieces["notices"] = self._notices.render(told)
        pieces["events"] = self._events.render(told)
        for machine in view.machines:
            pieces[f"machine-{machine.device}"] = self._card.render(told, machine=machine)
        return pieces

    def _ago(self, span_ms: int) -> str:
        """`3 分钟前`: rounded as people say it."""
        seconds = max(0, round(span_ms / 1000))
        if seconds < JUST_NOW_S:
            return self._words("console.just_now")
        unit = next(unit for unit, length_s in SPANS_S.items() if seconds >= length_s)
        return self._words(
            "console.ago", span=self._words(f"console.{unit}", n=seconds // SPANS_S[unit])
        )

    def _told(self, event: EventView) -> str:
        return self._words(
            event.words,
            subject=self._port(event.port, event.subject),
            part=self._words(event.part) if event.part else "",
            minutes=event.minutes,
        )

    def _port(self, port: str, name: str) -> str:
        key = f"console.port.{port}"
        return self._words(key) if self._words.has(key) else name

    def _role(self, role: str) -> str:
        key = f"console.role.{role}"
        return self._words(key) if self._words.has(key) else role


def edition(version: str) -> str:
    """When a catalogue was published, in the hall's time: `11-24 08:30`; else its first letters."""
    try:
        published = dt.datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%S%z")
    except ValueError:
        return version[:12]
    return published.astimezone(HALL_TIME).strftime("%m-%d %H:%M")


def group_of(machine: MachineView) -> Show:
    """What is to be done about a machine."""
    if machine.state in ("offline", "unknown"):
        return "away"
    return "look_after" if machine.tone in ("attention", "fault") else "fine"


def counts(view: CentreView) -> dict[Show, int]:
    """Machines in each group."""
    found: dict[Show, int] = dict.fromkeys(SHOWN, 0)
    for machine in view.machines:
        found["all"] += 1
        found[group_of(machine)] += 1
    return found


def _local(ms: int) -> dt.datetime:
    return utc(ms).astimezone(HALL_TIME)


def time_of_day(ms: int) -> str:
    return _local(ms).strftime("%H:%M:%S")


def full_time(ms: int) -> str:
    return _local(ms).strftime("%Y-%m-%d %H:%M:%S")
