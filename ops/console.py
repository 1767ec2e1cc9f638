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
from hallkit.runtime.clock import Clock
from hallkit.web import ages
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
            "edition": edition,
            "shown": SHOWN,
            **ages.FUNCTIONS,
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
        return self._page.render(
            view=view,
            show=show,
            counts=counts(view),
            ago=lambda ms: ages.ago(self._words, view.now_ms - ms),
            script_words=ages.script_words(self._words),
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
